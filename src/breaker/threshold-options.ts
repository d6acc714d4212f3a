import { type Bounds, resolveOptions } from '../core/options.js';
import { type Random, systemRandom } from '../core/random.js';
import { checkAnnouncement } from './announced-state.js';
import type { BreakerMode, TransitionHook } from './breaker.js';

/** Options of {@link threshold}. Every comparison is "at least": a value that is reached counts. */
export interface ThresholdOptions {
  /**
   * Opens when this share of the calls in the window failed; above 0 up to 1, or `Infinity` for never. Failed means
   * `failure` or `overload`. A larger value opens later.
   *
   * @defaultValue `0.5`
   */
  readonly failureRatio?: number | undefined;
  /**
   * Calls that the window has to hold before `failureRatio` and `slowRatio` are looked at; a whole number, 1 or more.
   * A larger value needs more evidence. No effect on `consecutiveFailures`.
   *
   * @defaultValue `20`
   */
  readonly minRequests?: number | undefined;
  /**
   * Length of the window; milliseconds, 1 or more. A larger value remembers longer. It starts empty after each close.
   *
   * @defaultValue `10000`
   */
  readonly windowMs?: number | undefined;
  /**
   * Parts of the window, which moves by one part at a time; a whole number from 1 to 1000. A larger value moves more
   * smoothly for more memory.
   *
   * @defaultValue `10`
   */
  readonly buckets?: number | undefined;
  /**
   * Opens when so many calls in a row failed, however few there are in the window; a whole number, 1 or more, or
   * `Infinity` for never. A larger value opens later.
   *
   * @defaultValue `Infinity`
   */
  readonly consecutiveFailures?: number | undefined;
  /**
   * A call whose first response took at least so long is slow; milliseconds, above 0, or `Infinity` for never. A
   * larger value finds fewer calls slow. A slow probe is a failed probe.
   *
   * @defaultValue `Infinity`
   */
  readonly slowMs?: number | undefined;
  /**
   * Opens when this share of the calls in the window was slow; above 0 up to 1. A larger value opens later. No effect
   * while `slowMs` is `Infinity`.
   *
   * @defaultValue `0.5`
   */
  readonly slowRatio?: number | undefined;
  /**
   * How long it stays open the first time; milliseconds, 1 or more. A larger value spares the callee and keeps calls
   * away for longer after it is well. A change takes effect at the next opening.
   *
   * @defaultValue `5000`
   */
  readonly openMs?: number | undefined;
  /**
   * By how much the time grows each time that probes fail; 1 or more. It starts over after a close. A larger value
   * probes a callee that stays down less often. No effect where `openMs` is `maxOpenMs` or more.
   *
   * @defaultValue `2`
   */
  readonly openFactor?: number | undefined;
  /**
   * What the time grows to; milliseconds, 1 or more. A larger value probes less often. No effect below `openMs`.
   *
   * @defaultValue `60000`
   */
  readonly maxOpenMs?: number | undefined;
  /**
   * Up to this share is added to each open time at random, so that a fleet does not probe at one moment; 0 to 1. A
   * larger value spreads the probes wider.
   *
   * @defaultValue `0.2`
   */
  readonly jitterRatio?: number | undefined;
  /**
   * Calls that are let through, half open, to find out; a whole number, 1 or more. A larger value judges better and
   * risks more calls.
   *
   * @defaultValue `3`
   */
  readonly probes?: number | undefined;
  /**
   * Share of the probes that has to succeed for it to close; above 0 up to 1. It closes or opens again as soon as
   * the rest cannot change that. A larger value closes less easily.
   *
   * @defaultValue `0.5`
   */
  readonly probeSuccessRatio?: number | undefined;
  /**
   * Probes without a verdict are taken as failed once the last of them is so old; milliseconds, 1 or more. Without
   * that, one that hangs would keep it half open for ever. Should exceed the timeout of a call. A larger value waits longer.
   *
   * @defaultValue `15000`
   */
  readonly probeTimeoutMs?: number | undefined;
  /**
   * Who decides; see {@link BreakerMode}.
   *
   * @defaultValue `'auto'`
   */
  readonly mode?: BreakerMode | undefined;
  /**
   * Uniform numbers in [0, 1), for the jitter.
   *
   * @defaultValue `Math.random`
   */
  readonly random?: Random | undefined;
  /**
   * Told of each change of state.
   *
   * @defaultValue none
   */
  readonly onTransition?: TransitionHook | undefined;
}

/** {@link ThresholdOptions} with nothing left open. */
export interface ThresholdSettings {
  readonly failureRatio: number;
  readonly minRequests: number;
  readonly windowMs: number;
  readonly buckets: number;
  readonly consecutiveFailures: number;
  readonly slowMs: number;
  readonly slowRatio: number;
  readonly openMs: number;
  readonly openFactor: number;
  readonly maxOpenMs: number;
  readonly jitterRatio: number;
  readonly probes: number;
  readonly probeSuccessRatio: number;
  readonly probeTimeoutMs: number;
  readonly mode: BreakerMode;
  readonly random: Random;
  readonly onTransition: TransitionHook | undefined;
}

/** Defaults of {@link ThresholdOptions}. */
export const thresholdDefaults: ThresholdSettings = {
  failureRatio: 0.5,
  minRequests: 20,
  windowMs: 10_000,
  buckets: 10,
  consecutiveFailures: Number.POSITIVE_INFINITY,
  slowMs: Number.POSITIVE_INFINITY,
  slowRatio: 0.5,
  openMs: 5000,
  openFactor: 2,
  maxOpenMs: 60_000,
  jitterRatio: 0.2,
  probes: 3,
  probeSuccessRatio: 0.5,
  probeTimeoutMs: 15_000,
  mode: 'auto',
  random: systemRandom,
  onTransition: undefined,
};

const bounds: Bounds<ThresholdSettings> = {
  failureRatio: { above: 0, max: 1, infinite: true },
  minRequests: { min: 1, integer: true },
  windowMs: { min: 1 },
  buckets: { min: 1, max: 1000, integer: true },
  consecutiveFailures: { min: 1, integer: true, infinite: true },
  slowMs: { above: 0, infinite: true },
  slowRatio: { above: 0, max: 1 },
  openMs: { min: 1 },
  openFactor: { min: 1 },
  maxOpenMs: { min: 1 },
  jitterRatio: { min: 0, max: 1 },
  probes: { min: 1, integer: true },
  probeSuccessRatio: { above: 0, max: 1 },
  probeTimeoutMs: { min: 1 },
};

/** Lays options over settings, and checks them. */
export function thresholdSettings(
  current: ThresholdSettings,
  given: ThresholdOptions | undefined,
): ThresholdSettings {
  const settings = resolveOptions('threshold', current, given, bounds);
  checkAnnouncement('threshold', settings);
  return settings;
}
