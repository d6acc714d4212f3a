import { type Bound, isInRange } from '../core/options.js';
import { samplingBounds } from '../tracer/sampling.js';
import type { EnvironmentReader } from './environment-reader.js';

/** How traces begin to be recorded. */
export interface SamplingChoice {
  readonly mode: 'off' | 'always' | 'ratio' | 'rateLimit' | 'tail';
  /** Share, or traces per second. */
  readonly amount: number | undefined;
}

/** What a caller has decided counts in all of them but `always_off`: half of a trace explains little. */
const samplers: Readonly<Record<string, SamplingChoice>> = {
  always_on: { mode: 'always', amount: undefined },
  always_off: { mode: 'off', amount: undefined },
  traceidratio: { mode: 'ratio', amount: 1 },
  parentbased_always_on: { mode: 'always', amount: undefined },
  parentbased_always_off: { mode: 'ratio', amount: 0 },
  parentbased_traceidratio: { mode: 'ratio', amount: 1 },
};

/** `tail`, `always`, `off`, `ratio:0.1`, `rateLimit:5`. */
const samplingWord = /^(?:(off|always|tail)|(ratio|ratelimit):(\d+(?:\.\d+)?))$/i;

const amounts: Readonly<Record<string, Bound>> = {
  ratio: samplingBounds.ratio,
  ratelimit: samplingBounds.perSecond,
};

function keelsonSampling(from: EnvironmentReader): SamplingChoice | undefined {
  const text = from.text('KEELSON_SAMPLING');
  if (text === undefined) return undefined;
  const [, plain, measured, digits] = samplingWord.exec(text) ?? [];
  const mode = (plain ?? measured)?.toLowerCase();
  const amount = digits === undefined ? undefined : Number(digits);
  const bound = amounts[mode ?? ''];
  if (mode === undefined || (bound !== undefined && !isInRange(amount ?? Number.NaN, bound)))
    return from.refuse(
      'KEELSON_SAMPLING',
      text,
      'off, always, tail, ratio:<0 to 1> or rateLimit:<per second>',
    );
  return { mode: mode === 'ratelimit' ? 'rateLimit' : (mode as SamplingChoice['mode']), amount };
}

/** `KEELSON_SAMPLING`, else what `OTEL_TRACES_SAMPLER` says, else all of them. */
export function samplingChoice(from: EnvironmentReader): SamplingChoice {
  const usual = samplers['parentbased_always_on'] as SamplingChoice;
  const ours = keelsonSampling(from);
  const name = from.choice('OTEL_TRACES_SAMPLER', Object.keys(samplers));
  const share = from.number('OTEL_TRACES_SAMPLER_ARG', samplingBounds.ratio);
  if (ours !== undefined) return ours;
  if (name === 'always_on' || name === 'traceidratio')
    from.note(`OTEL_TRACES_SAMPLER: ${name} follows what a caller has decided, as parentbased_${name} does`);
  const chosen = samplers[name ?? ''] ?? usual;
  return name?.endsWith('traceidratio') === true ? { ...chosen, amount: share ?? 1 } : chosen;
}
