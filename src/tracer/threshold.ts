import type { TraceState } from '@opentelemetry/api';

/** Hex digits of the randomness of a trace: the last 56 bits of its id. */
const digits = 14;
const whole = 1n << 56n;
/** Digits of a threshold that are kept, after those that only say how rare it is. */
const precision = 4;

const hex = /^[\da-f]{1,14}$/;
const fullHex = /^[\da-f]{14}$/;

/** Traces are kept whose randomness is not below it. */
export interface Threshold {
  /** Its upper 24 bits. */
  readonly high: number;
  /** Its lower 32 bits. */
  readonly low: number;
  /** Hex digits without the zeros at their end: as it is written. */
  readonly th: string;
}

/**
 * The threshold of a ratio.
 *
 * @param ratio - from 0 to 1
 * @returns `undefined` when none is to be kept
 *
 * Source: OpenTelemetry specification, "TraceState: Probability Sampling", `th`; rounded to four digits as it advises.
 */
export function thresholdOf(ratio: number): Threshold | undefined {
  const exact = whole - BigInt(Math.round(ratio * 2 ** 56));
  if (exact >= whole) return undefined;
  const text = exact.toString(16).padStart(digits, '0');
  const leading = /^f*/.exec(text)?.[0].length ?? 0;
  const unit = 16n ** BigInt(Math.max(0, digits - precision - leading));
  const rounded = ((exact + unit / 2n) / unit) * unit;
  const chosen = rounded < whole ? rounded : exact;
  const all = chosen.toString(16).padStart(digits, '0');
  const th = all.replace(/0+$/, '') || '0';
  return { high: Number(chosen >> 32n), low: Number(chosen & 0xffff_ffffn), th };
}

function field(member: string, name: 'th' | 'rv'): string | undefined {
  const begin = `${name}:`;
  return member
    .split(';')
    .find((part) => part.startsWith(begin))
    ?.slice(begin.length);
}

/**
 * Takes a threshold out of the trace state of a sampled trace that does not fit its randomness: somebody has sampled it for
 * another reason, and a count that is multiplied by it would be wrong.
 *
 * @param random - whether the id is known to be random; if not, only an explicit `rv` can contradict
 */
export function withoutFalseThreshold(state: TraceState, traceId: string, random: boolean): TraceState {
  const member = state.get('ot');
  const th = member === undefined ? undefined : field(member, 'th');
  if (member === undefined || th === undefined) return state;
  const rv = field(member, 'rv');
  const known = rv !== undefined && fullHex.test(rv) ? rv : random ? traceId.slice(-digits) : undefined;
  if (hex.test(th) && (known === undefined || known >= th.padEnd(digits, '0'))) return state;
  const rest = member
    .split(';')
    .filter((part) => !part.startsWith('th:'))
    .join(';');
  return rest === '' ? state.unset('ot') : state.set('ot', rest);
}
