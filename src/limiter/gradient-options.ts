import { type Bounds, checkChoice, resolveOptions } from '../core/options.js';

/** Options of {@link gradient}. */
export interface GradientOptions {
  /**
   * The limit before anything was measured; from `minLimit` to `maxLimit`. A larger value spares a busy service refusals
   * at its start, and protects it later.
   *
   * @defaultValue `20`
   */
  readonly initialLimit?: number | undefined;
  /**
   * The limit is never below this; 1 or more. A larger value never locks a service out whose rtt grew for good, and lets
   * as many calls wait in an overload: with the default and a handler of 3 ms of CPU, 60 ms.
   *
   * @defaultValue `20`
   */
  readonly minLimit?: number | undefined;
  /**
   * The limit is never above this. A larger value lets a service that mostly waits use more concurrency, and an overload
   * that lasts grow a longer queue.
   *
   * @defaultValue `200`
   */
  readonly maxLimit?: number | undefined;
  /**
   * How much the limit may grow per window beyond what the gradient gives, before smoothing; 0 or more. It is the queue
   * that is accepted so that the limit can find its way up. A larger value grows faster and keeps a longer queue.
   *
   * @defaultValue `4`
   */
  readonly queueSize?: number | undefined;
  /**
   * How many times the long-term rtt a window may take before the limit falls; 1 or more. A larger value sheds later.
   *
   * @defaultValue `1.5`
   */
  readonly rttTolerance?: number | undefined;
  /**
   * How much of the new limit counts against the old one; above 0, up to 1. A larger value reacts sooner, also to noise.
   *
   * @defaultValue `0.2`
   */
  readonly smoothing?: number | undefined;
  /**
   * Over how many windows the long-term rtt is averaged, exponentially; a whole number, 1 or more. A larger value holds
   * on longer in an overload, and takes a service that became slower for good for overloaded as much longer.
   *
   * @defaultValue `600`
   */
  readonly longWindows?: number | undefined;
  /**
   * Length of a window; milliseconds, above 0. A larger value is calmer and later.
   *
   * @defaultValue `1000`
   */
  readonly windowMs?: number | undefined;
  /**
   * Windows with fewer calls are not judged; a whole number, 1 or more. A larger value leaves quiet services alone.
   *
   * @defaultValue `10`
   */
  readonly minSamples?: number | undefined;
  /**
   * Whether the time of a call that failed counts as that of one that succeeded. Exclude failures where they are much
   * faster than answers; what timed out counts always.
   *
   * @defaultValue `'count'`
   */
  readonly failures?: 'count' | 'exclude' | undefined;
  /**
   * By which share the limit is lower for calls of negative priority, and higher for calls of positive priority; 0 to
   * 1. A larger value serves important calls longer at the cost of the others; 0 treats all alike.
   *
   * @defaultValue `0.5`
   */
  readonly priorityRatio?: number | undefined;
}

/** Defaults of {@link GradientOptions}. */
export const gradientDefaults = {
  initialLimit: 20,
  minLimit: 20,
  maxLimit: 200,
  queueSize: 4,
  rttTolerance: 1.5,
  smoothing: 0.2,
  longWindows: 600,
  windowMs: 1000,
  minSamples: 10,
  failures: 'count',
  priorityRatio: 0.5,
} as const satisfies GradientOptions;

/** @internal All options, checked. */
export type GradientSettings = {
  readonly [Field in keyof GradientOptions]-?: NonNullable<GradientOptions[Field]>;
};

const bounds: Bounds<GradientSettings> = {
  initialLimit: { min: 1 },
  minLimit: { min: 1 },
  maxLimit: { min: 1 },
  queueSize: { min: 0 },
  rttTolerance: { min: 1 },
  smoothing: { above: 0, max: 1 },
  longWindows: { min: 1, integer: true },
  windowMs: { above: 0 },
  minSamples: { min: 1, integer: true },
  priorityRatio: { min: 0, max: 1 },
};

/** @internal */
export function gradientSettings(options: GradientOptions | undefined): GradientSettings {
  const settings = resolveOptions<GradientSettings>('gradient', gradientDefaults, options, bounds);
  checkChoice('gradient.failures', settings.failures, ['count', 'exclude']);
  checkOrder('gradient', settings);
  return settings;
}

/** @internal @throws RangeError unless the first limit is between the lowest and the highest */
export function checkOrder(
  owner: string,
  { minLimit, initialLimit, maxLimit }: { minLimit: number; initialLimit: number; maxLimit: number },
): void {
  if (minLimit > maxLimit)
    throw new RangeError(`${owner}.minLimit must be <= ${owner}.maxLimit (${maxLimit}), got ${minLimit}`);
  if (initialLimit < minLimit || initialLimit > maxLimit)
    throw new RangeError(
      `${owner}.initialLimit must be >= ${owner}.minLimit (${minLimit}) and <= ${owner}.maxLimit (${maxLimit}), got ${initialLimit}`,
    );
}
