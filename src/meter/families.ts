import type { MetricData } from './metric-data.js';
import type { Notices } from './notices.js';
import { familyName } from './prometheus-name.js';

/** What a family of metrics is in text. */
export type FamilyType = 'counter' | 'gauge' | 'histogram';

/** All that has one name in text: instruments of several scopes may. */
export interface Family {
  readonly name: string;
  readonly type: FamilyType;
  readonly unit: string;
  readonly help: string;
  readonly streams: MetricData[];
}

function typeOf(data: MetricData): FamilyType {
  if (data.kind === 'gauge') return 'gauge';
  if (data.kind === 'sum') return data.monotonic ? 'counter' : 'gauge';
  return 'histogram';
}

/** Names of the lines of a family. Two families must not have one in common. */
function linesOf({ name, type }: Family): readonly string[] {
  switch (type) {
    case 'gauge':
      return [name];
    case 'counter':
      return [name, `${name}_total`, `${name}_created`];
    case 'histogram':
      return [name, `${name}_bucket`, `${name}_sum`, `${name}_count`, `${name}_created`];
  }
}

/**
 * Puts instruments together that have one name in text. One whose type, or the names of whose lines, contradict an earlier
 * one is left out and told of; of different helps and units the first counts.
 */
export function familiesOf(data: readonly MetricData[], notices: Notices): Family[] {
  const byLine = new Map<string, Family | undefined>([
    ['target', undefined],
    ['target_info', undefined],
  ]);
  const families = new Set<Family>();
  for (const stream of data) {
    const type = typeOf(stream);
    const { name, unit } = familyName(stream.name, stream.unit, type);
    const known = byLine.get(name);
    if (known?.type === type && known.name === name) {
      known.streams.push(stream);
      continue;
    }
    const family: Family = { name, type, unit, help: stream.description, streams: [stream] };
    const lines = linesOf(family);
    if (lines.some((line) => byLine.has(line))) {
      notices.once(
        `${stream.name} of ${stream.scope.name} is left out of the text: another instrument has lines of the name ${name}`,
      );
      continue;
    }
    for (const line of lines) byLine.set(line, family);
    families.add(family);
  }
  return [...families];
}
