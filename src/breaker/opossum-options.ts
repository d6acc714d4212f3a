import { type Bounds, resolveOptions } from '../core/options.js';
import type { TransitionHook } from './breaker.js';
import type { CircuitBreakerInside, CircuitBreakerLike } from './opossum-breaker.js';

/**
 * Options of {@link opossum}. Those of the breaker bear opossum's own names; the rest of its settings is fixed, see
 * {@link opossumSettings}.
 */
export interface OpossumOptions {
  /**
   * Opens when more than this share of the calls in the window failed; percent, 1 to 99. More, not as many: with 50 it
   * stays closed at half. At 100 it would never open, so that is refused. A larger value opens later.
   *
   * @defaultValue `50`
   */
  readonly errorThresholdPercentage?: number | undefined;
  /**
   * Calls that the window has to hold before it opens; a whole number, 2 or more: with opossum's own 0 the first failure
   * opens it. A larger value needs more evidence. No effect half open.
   *
   * @defaultValue `20`
   */
  readonly volumeThreshold?: number | undefined;
  /**
   * How long it stays open; milliseconds, 1 or more. It does not grow. A larger value spares the callee, and keeps calls
   * away for longer after it is well.
   *
   * @defaultValue `30_000`
   */
  readonly resetTimeout?: number | undefined;
  /**
   * Length of the window; milliseconds, 1 or more. A larger value remembers longer. It starts empty after each close.
   *
   * @defaultValue `10_000`
   */
  readonly rollingCountTimeout?: number | undefined;
  /**
   * Parts of the window; a whole number from 1 to 1000. A larger value moves more smoothly, and makes each failing call
   * cost more: opossum adds the parts up.
   *
   * @defaultValue `10`
   */
  readonly rollingCountBuckets?: number | undefined;
  /**
   * Whether it cannot open within the first `rollingCountTimeout`.
   *
   * @defaultValue `false`
   */
  readonly allowWarmUp?: boolean | undefined;
  /**
   * Its name, for whoever exports its events; an endpoint's id, for example.
   *
   * @defaultValue none: a random one
   */
  readonly name?: string | undefined;
  /**
   * Its group, for whoever exports its events.
   *
   * @defaultValue none: its name
   */
  readonly group?: string | undefined;
  /**
   * An `EventEmitter` whose `rotate` event moves the window on, `rollingCountTimeout / rollingCountBuckets` apart: one
   * timer for all breakers instead of one for each. Worth it for hundreds of endpoints; `setMaxListeners(0)` on it keeps
   * the platform from warning.
   *
   * @defaultValue none: a timer of its own
   */
  readonly rotateBucketController?: object | undefined;
  /**
   * A call that is to find out, half open, is taken as failed once it is so old; milliseconds, 1 or more. Opossum alone
   * would stay half open for ever when it hangs. Should exceed the timeout of a call. A larger value waits longer.
   *
   * @defaultValue `15_000`
   */
  readonly probeTimeoutMs?: number | undefined;
  /**
   * Told of each change of state; `announce` of a stack puts it on the bus.
   *
   * @defaultValue none
   */
  readonly onTransition?: TransitionHook | undefined;
}

/** Defaults of {@link OpossumOptions}. */
export const opossumDefaults = {
  errorThresholdPercentage: 50,
  volumeThreshold: 20,
  resetTimeout: 30_000,
  rollingCountTimeout: 10_000,
  rollingCountBuckets: 10,
  allowWarmUp: false,
  name: undefined,
  group: undefined,
  rotateBucketController: undefined,
  probeTimeoutMs: 15_000,
  onTransition: undefined,
} as const;

/** What a gate itself does, whatever its breaker is made of. */
export type OpossumGateOptions = Pick<OpossumOptions, 'probeTimeoutMs' | 'onTransition'>;

/** {@link OpossumOptions} with nothing left open that has a default. */
export type OpossumChoice = {
  readonly [Field in keyof OpossumOptions]-?: (typeof opossumDefaults)[Field] extends undefined
    ? OpossumOptions[Field]
    : Exclude<OpossumOptions[Field], undefined>;
};

const longestTimerMs = 2 ** 31 - 1;

const bounds: Bounds<OpossumChoice> = {
  errorThresholdPercentage: { min: 1, max: 99 },
  volumeThreshold: { min: 2, integer: true },
  resetTimeout: { min: 1, max: longestTimerMs },
  rollingCountTimeout: { min: 1, max: longestTimerMs },
  rollingCountBuckets: { min: 1, max: 1000, integer: true },
  probeTimeoutMs: { min: 1 },
};

/** Options for opossum's constructor that are safe inside a stack. */
export interface CircuitBreakerSettings {
  readonly timeout: false;
  readonly rollingPercentilesEnabled: false;
  readonly enableSnapshots: false;
  readonly cache: false;
  readonly coalesce: false;
  readonly errorThresholdPercentage: number;
  readonly volumeThreshold: number;
  readonly resetTimeout: number;
  readonly rollingCountTimeout: number;
  readonly rollingCountBuckets: number;
  readonly allowWarmUp: boolean;
  readonly name?: string;
  readonly group?: string;
}

/** Lays options over the defaults, and checks them. */
export function opossumChoice(given: OpossumOptions | undefined): OpossumChoice {
  const choice = resolveOptions<OpossumChoice>('opossum', opossumDefaults, given, bounds);
  const { onTransition } = choice;
  if (onTransition !== undefined && typeof onTransition !== 'function')
    throw new TypeError(`opossum.onTransition must be a function, got ${String(onTransition)}`);
  return choice;
}

/** The same for a breaker that exists: what it is made of can no longer be chosen. */
export function gateChoice(given: OpossumGateOptions | undefined): OpossumChoice {
  const late = Object.keys(given ?? {}).find(
    (field) =>
      Object.hasOwn(opossumDefaults, field) && field !== 'probeTimeoutMs' && field !== 'onTransition',
  );
  if (late !== undefined)
    throw new TypeError(`opossum.${late} comes too late for a breaker that is made: see opossumSettings`);
  return opossumChoice(given);
}

/** The breaker's part of some options, which are checked, and with it what is fixed. */
export function settingsOf(choice: OpossumChoice): CircuitBreakerSettings {
  const { probeTimeoutMs: _, onTransition: __, ...settings } = choice;
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return {
    ...(Object.fromEntries(given) as unknown as CircuitBreakerSettings),
    timeout: false,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
    cache: false,
    coalesce: false,
  };
}

/**
 * Options for opossum's constructor that are safe inside a stack; a fresh object each time, for opossum writes into the
 * one it is given, and two breakers made from one share what it wrote.
 *
 * Use it for a breaker that you make yourself; {@link opossum} uses it for those that it has made.
 *
 * Fixed are `timeout: false` (the deadline is the stack's: opossum's abandons the call and goes on counting it as over),
 * percentiles off (sorting the times of the window for each failing call, 1.3 ms at 10 000), snapshots off, no cache and no
 * coalescing. `capacity` and `abortController` stay unset: the one counts its own refusals as failures of the callee, the
 * other is one for all calls, so that a slow one aborts the innocent.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 * @example
 * ```ts
 * const breaker = new CircuitBreaker(fetchUser, opossumSettings({ resetTimeout: 5000 }));
 * ```
 */
export function opossumSettings(
  options?: Omit<OpossumOptions, keyof OpossumGateOptions>,
): CircuitBreakerSettings {
  return settingsOf(opossumChoice(options));
}

/**
 * Refuses a breaker whose settings would go wrong, all of them named at once.
 *
 * @throws TypeError
 */
export function checkBreaker(breaker: CircuitBreakerLike): void {
  const { options } = breaker as unknown as CircuitBreakerInside;
  if (typeof options !== 'object' || options === null)
    throw new TypeError('opossum: this breaker does not show its options; make it with opossumSettings()');
  const { timeout, capacity, errorThresholdPercentage } = options;
  const wrong = [
    timeout && 'timeout must be false, for deadlines are those of the stack',
    typeof capacity === 'number' &&
      capacity < Number.MAX_SAFE_INTEGER &&
      'capacity must not be set, for it has no effect here: use concurrency()',
    options['cache'] && 'cache must be off: calls are not told apart',
    options['coalesce'] && 'coalesce must be off: calls are not told apart',
    options['abortController'] && 'abortController must not be set: it is one for all calls',
    options['rollingPercentilesEnabled'] &&
      'rollingPercentilesEnabled must be false: its times would all be 0',
    Number(errorThresholdPercentage) >= 100 &&
      'errorThresholdPercentage must be below 100, or it never opens',
    breaker.volumeThreshold < 2 && 'volumeThreshold must be 2 or more, or the first failure opens it',
  ].filter(Boolean);
  if (wrong.length > 0)
    throw new TypeError(`opossum: this breaker is not safe here (see opossumSettings): ${wrong.join('; ')}`);
}
