import { type Bounds, resolveOptions } from '../core/options.js';
import { type Random, systemRandom } from '../core/random.js';
import { checkAnnouncement } from './announced-state.js';
import type { BreakerMode, TransitionHook } from './breaker.js';

/** Options of {@link evidence}. */
export interface EvidenceOptions {
  /**
   * Opens on the evidence of so many failures in a row of a callee that is otherwise well; a whole number, 2 to 100. One
   * that always fails now and then needs longer runs, by what is usual for it: with 5, about 11 at 10 % errors and 20 at
   * 30 %. A larger value opens later and is less often wrong: with 5, of calls that fail by chance once in a hundred it
   * takes about ten thousand million to open; with 3, a million.
   *
   * @defaultValue `5`
   */
  readonly consecutiveFailures?: number | undefined;
  /**
   * While open, one call is let through each time so long after the one before; milliseconds, 1 or more. It is also
   * where the way back begins. Where it opened because all calls were shed, nine are refused between two of them as well, but
   * for no longer than `windowMs`. A larger value wastes fewer calls on a callee that is down and notices its return later.
   *
   * @defaultValue `500`
   */
  readonly probeIntervalMs?: number | undefined;
  /**
   * Up to this share is added to each of these intervals at random, so that a fleet does not probe at one moment; 0 to 1.
   * A larger value spreads the probes wider.
   *
   * @defaultValue `0.2`
   */
  readonly jitterRatio?: number | undefined;
  /**
   * A probe without a verdict no longer keeps others from being sent once it is so old; milliseconds, 1 or more. Should
   * exceed the timeout of a call. A larger value leaves a callee that hangs alone for longer.
   *
   * @defaultValue `15000`
   */
  readonly probeTimeoutMs?: number | undefined;
  /**
   * By how much the rate grows with each success on the way back, or, with several calls in flight, with as many
   * successes as there are of them; above 1, at most 10. A larger value is back sooner, and hits a callee that is not
   * quite back harder.
   *
   * @defaultValue `2`
   */
  readonly growthFactor?: number | undefined;
  /**
   * How many calls are sent, while closed, for each that succeeds, to a callee that sheds others (`overload`), as `k` of
   * {@link sre}; a ratio, above 1, at most 10. With 2 nothing is refused until half of the calls are shed: it may be one
   * tenant that is over its quota. What it wastes at most and what it bears are one number: at `k`, `k - 1` calls are wasted
   * for each success, and a callee may shed `1 - 1 / k` whatever is sent to it. A larger value refuses later. No effect on a callee that sheds nothing.
   *
   * @defaultValue `2`
   */
  readonly k?: number | undefined;
  /**
   * The same for a callee that says itself what share of its calls it lets in (`load.admitRatio`), or that all its callers
   * are too many (`overloaded`): then it is the whole server that has too many; a ratio, above 1, at most 10. A larger value wastes more calls, and takes up sooner what the
   * callee can do more. No effect on servers that do not say.
   *
   * @defaultValue `1.1`
   */
  readonly overloadK?: number | undefined;
  /**
   * Calls that are enough to know what share is shed: with twice as many in mind, half of them is forgotten; a whole
   * number, 10 or more. A larger value is steadier, and slower in proportion.
   *
   * @defaultValue `200`
   */
  readonly maxRequests?: number | undefined;
  /**
   * What is remembered at most of what share is shed; milliseconds, 1 or more: after so long a call weighs a third. It is also
   * the longest wait for calls to find out by, with a callee that sheds all of them. A larger value serves
   * callers of fewer calls per second, and is slower.
   *
   * @defaultValue `5000`
   */
  readonly windowMs?: number | undefined;
  /**
   * Who decides; see {@link BreakerMode}.
   *
   * @defaultValue `'auto'`
   */
  readonly mode?: BreakerMode | undefined;
  /**
   * Uniform numbers in [0, 1).
   *
   * @defaultValue `Math.random`
   */
  readonly random?: Random | undefined;
  /**
   * Told of each change of state. Refusing a share of the calls while closed is none.
   *
   * @defaultValue none
   */
  readonly onTransition?: TransitionHook | undefined;
}

/** {@link EvidenceOptions} with nothing left open. */
export interface EvidenceSettings {
  readonly consecutiveFailures: number;
  readonly probeIntervalMs: number;
  readonly jitterRatio: number;
  readonly probeTimeoutMs: number;
  readonly growthFactor: number;
  readonly k: number;
  readonly overloadK: number;
  readonly maxRequests: number;
  readonly windowMs: number;
  readonly mode: BreakerMode;
  readonly random: Random;
  readonly onTransition: TransitionHook | undefined;
}

/** Defaults of {@link EvidenceOptions}. */
export const evidenceDefaults: EvidenceSettings = {
  consecutiveFailures: 5,
  probeIntervalMs: 500,
  jitterRatio: 0.2,
  probeTimeoutMs: 15_000,
  growthFactor: 2,
  k: 2,
  overloadK: 1.1,
  maxRequests: 200,
  windowMs: 5000,
  mode: 'auto',
  random: systemRandom,
  onTransition: undefined,
};

const bounds: Bounds<EvidenceSettings> = {
  consecutiveFailures: { min: 2, max: 100, integer: true },
  probeIntervalMs: { min: 1 },
  jitterRatio: { min: 0, max: 1 },
  probeTimeoutMs: { min: 1 },
  growthFactor: { above: 1, max: 10 },
  k: { above: 1, max: 10 },
  overloadK: { above: 1, max: 10 },
  maxRequests: { min: 10, integer: true },
  windowMs: { min: 1 },
};

/** Lays options over settings, and checks them. */
export function evidenceSettings(
  current: EvidenceSettings,
  given: EvidenceOptions | undefined,
): EvidenceSettings {
  const settings = resolveOptions('evidence', current, given, bounds);
  checkAnnouncement('evidence', settings);
  return settings;
}
