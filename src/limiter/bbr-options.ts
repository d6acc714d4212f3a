import { type Bounds, checkChoice, resolveOptions, wrongKind } from '../core/options.js';
import { isUncalled } from '../core/uncalled.js';

/** Something that says how loaded this process is; `backlogSignal()` and `loadSignal()` of `keelson/limiter/load` are. */
export interface LoadReading {
  /** 0 is idle, 1 is saturated. `NaN` for unknown. */
  readonly value: number;
  /** How much waits for this thread before it can be seen, against what may: 1 is all of that. For signals that know. */
  readonly waiting?: number;
}

/** Options of {@link bbr}. */
export interface BbrOptions {
  /**
   * How loaded this process is: 0 is idle, 1 is saturated; a function or an object with `value`, and with `waiting` if it
   * knows what waits for this thread. It is read at every call, so reading it has to be cheap. While it is `NaN` or throws
   * the limiter only measures and never refuses: many calls in flight are no overload as long as nothing says that the
   * process cannot keep up. So it does without it, but for one that stands by itself among the `limits` of an app's server:
   * that goes by the backlog that the app measures.
   *
   * @defaultValue `undefined`
   */
  readonly load?: LoadReading | (() => number) | undefined;
  /**
   * From this load on the limit holds. A ratio above 0; above 1 with a signal that never exceeds 1 it never holds. A
   * larger value uses more of the machine and refuses later.
   *
   * @defaultValue `0.8`
   */
  readonly loadThreshold?: number | undefined;
  /**
   * While more than this is `waiting`, nobody passes, whatever is in flight, but one call per bucket: what handlers that
   * never await are late with is not in flight, it waits to be read. A ratio above 0; `Infinity` for never. It has no
   * effect with a signal that does not know, such as `loadSignal()`; `backlogSignal()` does. Nor has it below
   * `loadThreshold`, where everybody passes: with `backlogSignal()`, whose load is what waits, a value below that is as good
   * as that. A larger value lets more wait.
   *
   * @defaultValue `1`
   */
  readonly maxWaitingRatio?: number | undefined;
  /**
   * How long the best throughput and the shortest rtt are remembered; milliseconds, above 0. A larger value rides out
   * lulls, a smaller one follows changes of the traffic sooner. Time under load does not count for the rtt.
   *
   * @defaultValue `10_000`
   */
  readonly windowMs?: number | undefined;
  /**
   * Into how many parts the window is cut; a whole number from 1 to 1000. Everything is worked out once per part, so
   * more of them react sooner and cost more.
   *
   * @defaultValue `100`
   */
  readonly buckets?: number | undefined;
  /**
   * Over how many parts throughput and rtt are averaged before the best is taken; a whole number from 1 to `buckets`.
   * With 1, one part in which a stalled event loop finishes a second's worth of calls counts as throughput. A larger
   * value follows a growing throughput later.
   *
   * @defaultValue `5`
   */
  readonly spanBuckets?: number | undefined;
  /**
   * How many times `best throughput * shortest rtt` may be in flight; 1 or more. 1 is what keeps a server just busy if
   * calls come evenly. More leaves a queue for calls that do not, and lets the limit find its way up from an estimate
   * that is too low; that queue is `gain - 1` times the shortest rtt long, much if handlers wait long for something else.
   *
   * @defaultValue `1.25`
   */
  readonly gain?: number | undefined;
  /**
   * The limit is never below this, whatever was measured, and it is this while nothing was: at a cold start, or after
   * a lull. 1 or more. A larger value never locks a quiet service out because something else burns CPU, and admits
   * more calls than the machine can bear if each is heavy.
   *
   * @defaultValue `10`
   */
  readonly minLimit?: number | undefined;
  /**
   * How long the limit still holds after load fell below the threshold; milliseconds, 0 or more. It damps swinging
   * about the threshold; a larger value refuses for longer than needed after an overload.
   *
   * @defaultValue `1000`
   */
  readonly cooldownMs?: number | undefined;
  /**
   * From which refusal under load the cool-down counts. With `'first'` it is used up before an overload longer than
   * `cooldownMs` ends, and the gate opens at once at the first dip.
   *
   * @defaultValue `'last'`
   */
  readonly cooldownFrom?: 'first' | 'last' | undefined;
  /**
   * Whether parts of the window under load teach the shortest rtt. With `true`, once an overload has lasted for the
   * window, all rtts in it contain the queue, the limit grows by it, and the queue with the limit: it never recovers.
   *
   * @defaultValue `false`
   */
  readonly learnWhenLoaded?: boolean | undefined;
  /**
   * Rtts are rounded up to a multiple of this; milliseconds, 0 or more, 0 for not at all. With 1 a handler of 0.2 ms
   * is taken for five times slower than it is, and the limit is as much too high.
   *
   * @defaultValue `0`
   */
  readonly rttStepMs?: number | undefined;
  /**
   * Whether a call that failed tells throughput and rtt as one that succeeded does. Exclude failures where they are
   * much faster than answers, for example when a dependency refuses at once.
   *
   * @defaultValue `'count'`
   */
  readonly failures?: 'count' | 'exclude' | undefined;
  /**
   * By which share the limit is lower for calls of negative priority, and higher for calls of positive priority; 0 to
   * 1. How far from zero a priority is makes no difference. More may wait for the important ones too; and while they are
   * refused all the same, others are refused at less, down to that share less. A larger value serves important calls
   * longer at the cost of the others and of rtt; 0 treats all alike.
   *
   * @defaultValue `0.5`
   */
  readonly priorityRatio?: number | undefined;
  /**
   * Told when refusing starts, at the first refusal, and when it is over: load is below the threshold and the
   * cool-down has passed, as found at the next call or snapshot. What it throws, or rejects with, is dropped.
   *
   * @defaultValue `undefined`
   */
  readonly onTransition?: ((shedding: boolean, now: number) => void) | undefined;
}

/** Defaults of {@link BbrOptions}. */
export const bbrDefaults = {
  load: undefined,
  loadThreshold: 0.8,
  maxWaitingRatio: 1,
  windowMs: 10_000,
  buckets: 100,
  spanBuckets: 5,
  gain: 1.25,
  minLimit: 10,
  cooldownMs: 1000,
  cooldownFrom: 'last',
  learnWhenLoaded: false,
  rttStepMs: 0,
  failures: 'count',
  priorityRatio: 0.5,
  onTransition: undefined,
} as const satisfies BbrOptions;

/** @internal All options, checked. */
export type BbrSettings = {
  readonly [Field in keyof BbrOptions]-?: Field extends 'load' | 'onTransition'
    ? BbrOptions[Field]
    : NonNullable<BbrOptions[Field]>;
};

const bounds: Bounds<BbrSettings> = {
  loadThreshold: { above: 0 },
  maxWaitingRatio: { above: 0, infinite: true },
  windowMs: { above: 0 },
  buckets: { min: 1, max: 1000, integer: true },
  spanBuckets: { min: 1, integer: true },
  gain: { min: 1 },
  minLimit: { min: 1 },
  cooldownMs: { min: 0 },
  rttStepMs: { min: 0 },
  priorityRatio: { min: 0, max: 1 },
};

/** @internal */
export function bbrSettings(options: BbrOptions | undefined): BbrSettings {
  const settings = resolveOptions<BbrSettings>('bbr', bbrDefaults, options, bounds);
  checkChoice('bbr.cooldownFrom', settings.cooldownFrom, ['first', 'last']);
  checkChoice('bbr.failures', settings.failures, ['count', 'exclude']);
  const { buckets, spanBuckets, onTransition } = settings;
  if (spanBuckets > buckets)
    throw new RangeError(`bbr.spanBuckets must be <= bbr.buckets (${buckets}), got ${spanBuckets}`);
  if (onTransition !== undefined && typeof onTransition !== 'function')
    throw new TypeError('bbr.onTransition must be a function');
  checkLoad(settings.load);
  return settings;
}

/** Reads it once: one that cannot be read now may be later, but a factory that was not called never will. */
function checkLoad(load: BbrOptions['load']): void {
  if (typeof load !== 'function') return;
  let read: unknown;
  try {
    read = load();
  } catch (thrown) {
    if (isUncalled(load, thrown)) read = load;
  }
  if (typeof read === 'function' || (typeof read === 'object' && read !== null))
    throw wrongKind(
      'bbr.load',
      'a function that returns a number, or a signal such as loadSignal() makes',
      load,
    );
}

/** @internal One way to read every kind of load. */
export interface LoadReaders {
  readonly value: () => number;
  readonly waiting: () => number;
}

/** @internal What cannot be read is unknown. */
export function loadReaders(load: BbrOptions['load']): LoadReaders {
  const unknown = (): number => Number.NaN;
  if (load === undefined) return { value: unknown, waiting: unknown };
  if (typeof load === 'function') return { value: load, waiting: unknown };
  if (typeof load === 'object' && load !== null && 'value' in load)
    return { value: () => load.value, waiting: () => load.waiting ?? Number.NaN };
  throw wrongKind('bbr.load', 'a function or an object with a value', load);
}
