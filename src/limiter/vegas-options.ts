import { type Bounds, checkChoice, resolveOptions } from '../core/options.js';
import { type Random, systemRandom } from '../core/random.js';
import { checkOrder } from './gradient-options.js';

/** Options of {@link vegas}. */
export interface VegasOptions {
  /**
   * The limit before anything was measured; from `minLimit` to `maxLimit`. A larger value spares a busy service refusals
   * at its start, and protects it later.
   *
   * @defaultValue `20`
   */
  readonly initialLimit?: number | undefined;
  /**
   * The limit is never below this; 1 or more. A larger value lets more wait in an overload.
   *
   * @defaultValue `1`
   */
  readonly minLimit?: number | undefined;
  /**
   * The limit is never above this. A larger value lets a service that mostly waits use more concurrency.
   *
   * @defaultValue `1000`
   */
  readonly maxLimit?: number | undefined;
  /**
   * After how many windows, times the limit, the rtt without load is taken anew from whatever the window says; above 0,
   * `Infinity` for never. It is jittered, to a half at the least. A larger value holds on longer to a rtt that may have
   * become wrong; at a smaller one a window of an overload is more often taken for one without load.
   *
   * @defaultValue `30`
   */
  readonly probeMultiplier?: number | undefined;
  /**
   * How much of the new limit counts against the old one; above 0, up to 1. A larger value reacts sooner, also to noise.
   *
   * @defaultValue `1`
   */
  readonly smoothing?: number | undefined;
  /**
   * From which share of timed out calls on a window counts as loss, and lowers the limit whatever its rtt; above 0, up to
   * 1. A larger value forgives a few calls that hang for reasons of their own.
   *
   * @defaultValue `0.1`
   */
  readonly lossRatio?: number | undefined;
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
  /**
   * Draws the jitter of the probes.
   *
   * @defaultValue `systemRandom`
   */
  readonly random?: Random | undefined;
}

/** Defaults of {@link VegasOptions}. */
export const vegasDefaults = {
  initialLimit: 20,
  minLimit: 1,
  maxLimit: 1000,
  probeMultiplier: 30,
  smoothing: 1,
  lossRatio: 0.1,
  windowMs: 1000,
  minSamples: 10,
  failures: 'count',
  priorityRatio: 0.5,
  random: systemRandom,
} as const satisfies VegasOptions;

/** @internal All options, checked. */
export type VegasSettings = { readonly [Field in keyof VegasOptions]-?: NonNullable<VegasOptions[Field]> };

const bounds: Bounds<VegasSettings> = {
  initialLimit: { min: 1 },
  minLimit: { min: 1 },
  maxLimit: { min: 1 },
  probeMultiplier: { above: 0, infinite: true },
  smoothing: { above: 0, max: 1 },
  lossRatio: { above: 0, max: 1 },
  windowMs: { above: 0 },
  minSamples: { min: 1, integer: true },
  priorityRatio: { min: 0, max: 1 },
};

/** @internal */
export function vegasSettings(options: VegasOptions | undefined): VegasSettings {
  const settings = resolveOptions<VegasSettings>('vegas', vegasDefaults, options, bounds);
  checkChoice('vegas.failures', settings.failures, ['count', 'exclude']);
  checkOrder('vegas', settings);
  return settings;
}
