import { type Clock, systemClock } from '../core/clock.js';
import type { Ask } from '../core/gate.js';
import { checkChoice, checkNumber, resolveOptions } from '../core/options.js';
import { type Random, systemRandom } from '../core/random.js';
import type { RedisClient } from './redis-client.js';
import type { WhenAway } from './stand-in.js';

/** Decisions began or ended to be made without Redis. */
export interface SharedRateTransition {
  /** Whether they are made without it now. */
  readonly away: boolean;
  /** Which key it is about; `undefined`: all of them. */
  readonly key: string | undefined;
  /** What Redis or its client said; `undefined` when it is back. */
  readonly error: unknown;
}

/** Options of {@link sharedRate}. */
export interface SharedRateOptions {
  /** A client of ioredis (5 or later) or node-redis (4 or later). It stays yours: connect it, listen to its errors, close it. */
  readonly redis: RedisClient;
  /** What the processes that share the limit call it; not empty, without braces. */
  readonly name: string;
  /** Calls, or cost, per second in the long run, of all processes together. Above 0. */
  readonly perSecond: number;
  /**
   * How much may come at once after a rest, in all processes together; 1 or more. A larger value forgives bunched
   * calls, a smaller one spaces them; below what comes in `aheadMs` each question brings less, so there are more. A
   * call that costs more than this is always refused. Without it, one second's worth: `perSecond`, at least 1.
   *
   * @defaultValue `undefined`
   */
  readonly burst?: number | undefined;
  /**
   * What has a rate of its own: each `key` of a call (a tenant, a user, an address), each `operation`, or whatever a
   * function makes of the call. A call without that part counts under the empty key. Without it all calls share one
   * rate.
   *
   * @defaultValue `undefined`
   */
  readonly by?: 'key' | 'operation' | ((ask: Ask | undefined) => string) | undefined;
  /**
   * Most keys that this process remembers; a whole number, 1 or more. Beyond that one not used lately is forgotten,
   * and its next call asks Redis. A larger value costs about a kilobyte a key. No effect without `by`.
   *
   * @defaultValue `10_000`
   */
  readonly maxKeys?: number | undefined;
  /**
   * How much is taken from Redis in advance: what this process uses in that time; milliseconds, 1 or more. A larger
   * value asks Redis less often and makes the error larger. No effect on keys of fewer than two calls in that time.
   *
   * @defaultValue `100`
   */
  readonly aheadMs?: number | undefined;
  /**
   * How long a call may wait for Redis, in milliseconds; above 0, at a resolution of 4. A larger value rides out a slow
   * Redis, a smaller one notices sooner that it is away.
   *
   * @defaultValue `50`
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Who decides while Redis is away: `local`, a rate of this process alone, at its part of the limit; `open`, all calls
   * pass; `closed`, none does.
   *
   * @defaultValue `'local'`
   */
  readonly whenAway?: WhenAway | undefined;
  /**
   * Among how many processes the limit is divided while Redis is away; 1 or more. A larger value lets less pass. With
   * fewer than there are, so many times the limit may pass meanwhile. No effect unless `whenAway` is `local`.
   *
   * @defaultValue `1`
   */
  readonly processes?: number | undefined;
  /**
   * Told once when decisions begin to be made without Redis and once when that ends. What it throws is dropped.
   *
   * @defaultValue `undefined`
   */
  readonly onTransition?: ((transition: SharedRateTransition) => void) | undefined;
  /**
   * Tells the time and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
  /**
   * Keeps processes from asking in step.
   *
   * @defaultValue `systemRandom`
   */
  readonly random?: Random | undefined;
}

/** Defaults of {@link SharedRateOptions}. */
export const sharedRateDefaults = {
  burst: undefined,
  by: undefined,
  maxKeys: 10_000,
  aheadMs: 100,
  timeoutMs: 50,
  whenAway: 'local',
  processes: 1,
  onTransition: undefined,
  clock: systemClock,
  random: systemRandom,
} as const;

/** {@link SharedRateOptions} with nothing left open. */
export interface Settings {
  readonly redis: RedisClient;
  readonly name: string;
  readonly perSecond: number;
  readonly burst: number;
  readonly by: SharedRateOptions['by'];
  readonly maxKeys: number;
  readonly aheadMs: number;
  readonly timeoutMs: number;
  readonly whenAway: WhenAway;
  readonly processes: number;
  readonly onTransition: SharedRateOptions['onTransition'];
  readonly clock: Clock;
  readonly random: Random;
}

/** What has no default, or one that follows from the others. */
type Open = 'redis' | 'name' | 'perSecond' | 'burst';
type Given = Omit<Settings, Open> & { readonly [Field in Open]: Settings[Field] | undefined };

function checkName(name: unknown): string {
  if (typeof name !== 'string') throw new TypeError(`sharedRate.name must be a string, got ${String(name)}`);
  // The first pair of braces in a key of a cluster is what places it.
  if (!/^[^{}]+$/.test(name))
    throw new RangeError(`sharedRate.name must be without braces and not empty, got ${JSON.stringify(name)}`);
  return name;
}

/** @throws TypeError or RangeError that names the option */
export function settingsOf(options: SharedRateOptions): Settings {
  const fields: Given = { redis: undefined, name: undefined, perSecond: undefined, ...sharedRateDefaults };
  const given = resolveOptions<Given>('sharedRate', fields, options, {
    burst: { min: 1 },
    maxKeys: { min: 1, integer: true },
    aheadMs: { min: 1 },
    timeoutMs: { above: 0 },
    processes: { min: 1 },
  });
  const perSecond = checkNumber('sharedRate.perSecond', given.perSecond, { above: 0 });
  checkChoice('sharedRate.whenAway', given.whenAway, ['local', 'open', 'closed']);
  const { onTransition } = given;
  if (onTransition !== undefined && typeof onTransition !== 'function')
    throw new TypeError(`sharedRate.onTransition must be a function, got ${String(onTransition)}`);
  return {
    ...given,
    redis: given.redis as RedisClient,
    name: checkName(given.name),
    perSecond,
    burst: given.burst ?? Math.max(1, perSecond),
  };
}
