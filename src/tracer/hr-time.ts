import type { HrTime, TimeInput } from '@opentelemetry/api';

/** Later than this does not fit into 64 bits of nanoseconds: the year 2554. */
const lastMs = 2 ** 64 / 1e6;

/** Milliseconds as seconds and nanoseconds. */
export function hrTimeOf(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1e6);
  // Rounding may have made a whole second of it.
  return nanos >= 1e9 ? [seconds + 1, 0] : [seconds, nanos];
}

/** Whether that is given as a time, whatever it says. */
export function isTime(input: unknown): input is TimeInput {
  if (typeof input !== 'object') return typeof input === 'number';
  try {
    return Array.isArray(input) || input instanceof Date;
  } catch {
    // A proxy that was revoked throws at the very question.
    return false;
  }
}

function wallMsOf(input: TimeInput, now: number, offsetMs: number): number {
  if (typeof input === 'number') return input <= now ? input + offsetMs : input;
  if (input instanceof Date) return input.getTime();
  return Array.isArray(input) ? input[0] * 1000 + input[1] / 1e6 : Number.NaN;
}

/**
 * What a caller says of a time, in milliseconds since 1970.
 *
 * @param now - the monotonic time: a number that is not greater is on that scale, as the api has it
 * @param offsetMs - wall time less monotonic time
 * @returns `NaN` for what is no time, or none that can be told on
 */
export function timeOf(input: TimeInput, now: number, offsetMs: number): number {
  try {
    const ms = wallMsOf(input, now, offsetMs);
    return ms >= 0 && ms < lastMs ? ms : Number.NaN;
  } catch {
    return Number.NaN;
  }
}
