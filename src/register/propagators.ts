import type { ExtractFormat, InjectFormat } from '../telemetry/propagation-options.js';
import { type EnvironmentReader, shown } from './environment-reader.js';

const formats: ReadonlyMap<string, ExtractFormat & InjectFormat> = new Map([
  ['tracecontext', 'w3c'],
  ['baggage', 'baggage'],
  ['b3', 'b3'],
  ['b3multi', 'b3multi'],
  ['jaeger', 'uber'],
]);

/**
 * What `OTEL_PROPAGATORS` chooses, for what is read and what is written alike, as OpenTelemetry has it.
 *
 * @returns `undefined` where nothing is chosen, or nothing that is known here
 */
export function propagators(from: EnvironmentReader): readonly (ExtractFormat & InjectFormat)[] | undefined {
  const names = from.list('OTEL_PROPAGATORS');
  if (names === undefined) return undefined;
  const chosen = new Set(names.flatMap((name) => formats.get(name) ?? []));
  const unknown = names.filter((name) => name !== 'none' && !formats.has(name));
  const isNone = names.includes('none');
  if (unknown.length > 0) {
    const instead = chosen.size === 0 && !isNone ? 'so that the default is used' : 'and left out';
    from.note(
      `OTEL_PROPAGATORS: ${shown(unknown.join(','))} is not known here, ${instead}; there are ${[...formats.keys()].join(', ')}, none`,
    );
  }
  if (isNone) return [];
  return chosen.size === 0 ? undefined : [...chosen];
}
