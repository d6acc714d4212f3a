import { type Clock, systemClock } from '../core/clock.js';
import type { Ask } from '../core/gate.js';
import { type Bounds, checkChoice, resolveOptions } from '../core/options.js';
import { checkProtocol, type Protocol } from '../core/protocol.js';
import {
  type BottleneckClass,
  type BottleneckLike,
  checkClass,
  checkLimiter,
  type IoredisLike,
} from './bottleneck-like.js';
import { checkIoredis } from './bottleneck-redis.js';

/** Every {@link WhenAway}. */
export const whenAwayChoices = ['open', 'closed', 'local'] as const;

/**
 * What becomes of calls while Redis does not answer.
 *
 * - `open`: they pass, without any limit.
 * - `closed`: they are refused.
 * - `local`: they are limited by this process alone, to its share of the quota, see `instances`. What was used of the
 *   quota before Redis went away is not known then, so around that moment up to twice the quota may pass.
 */
export type WhenAway = (typeof whenAwayChoices)[number];

/** Options of {@link quota}. One of `Bottleneck` and `limiter` has to be given. */
export interface QuotaOptions<Req, Res> {
  /**
   * The class: `import Bottleneck from 'bottleneck'`. The limits below apply.
   *
   * @defaultValue none
   */
  readonly Bottleneck?: BottleneckClass | undefined;
  /**
   * A limiter of your own, in place of the class; local, or on ioredis. Its limits are its own: neither the limits below
   * nor `redis`, `by`, `whenAway: 'local'` can be given. It stays yours to disconnect.
   *
   * @defaultValue none
   */
  readonly limiter?: BottleneckLike | undefined;
  /**
   * Most calls under way at one time, or sum of their costs; a whole number, 1 or more. A larger value sends more at once.
   *
   * @defaultValue `undefined`, no limit
   */
  readonly maxConcurrent?: number | undefined;
  /**
   * Time from the start of one call to the start of the next; milliseconds, 0 or more. A larger value spaces them wider;
   * 0 does not space them.
   *
   * @defaultValue `0`
   */
  readonly minTimeMs?: number | undefined;
  /**
   * How many calls, or how much cost, may start before the reservoir is filled again; a whole number, 1 or more.
   *
   * @defaultValue `undefined`, no limit
   */
  readonly reservoir?: number | undefined;
  /**
   * How often the reservoir is set to `refreshAmount`; milliseconds, a multiple of 250, with Redis of 5000. Twice the
   * amount may pass around that moment: for a window that slides use `increaseMs` or `minTimeMs`. Needs `reservoir`.
   *
   * @defaultValue `undefined`, never
   */
  readonly refreshMs?: number | undefined;
  /**
   * What the reservoir is set to; a whole number, 1 or more. No effect without `refreshMs`.
   *
   * @defaultValue `undefined`, the value of `reservoir`
   */
  readonly refreshAmount?: number | undefined;
  /**
   * How often `increaseAmount` is added to the reservoir; milliseconds, a multiple of 250, with Redis of 5000. Needs
   * `reservoir`, which is also the most that it is filled to.
   *
   * @defaultValue `undefined`, never
   */
  readonly increaseMs?: number | undefined;
  /**
   * How much is added; a whole number, 1 or more. No effect without `increaseMs`.
   *
   * @defaultValue `1`
   */
  readonly increaseAmount?: number | undefined;
  /**
   * What has a quota of its own: each `key` of a call, each `operation`, or whatever a function makes of the call. A call
   * without that part counts under the empty key. Without it all calls share one quota.
   *
   * @defaultValue `undefined`
   */
  readonly by?: 'key' | 'operation' | ((ask: Ask) => string) | undefined;
  /**
   * Most keys that are remembered; a whole number, 1 or more. The least recently used that is idle is forgotten, and
   * starts afresh unless Redis remembers it; while none is idle, calls under a further key are refused. A larger value
   * costs about 10 kB a key. No effect without `by`.
   *
   * @defaultValue `1000`
   */
  readonly maxKeys?: number | undefined;
  /**
   * Most calls that may wait at one time, for each key; a whole number, 1 or more: a call waits some milliseconds even
   * where there is room. Those above are refused at once. A larger value refuses later, and makes callers wait for what
   * comes too late.
   *
   * @defaultValue `100`
   */
  readonly maxWaiting?: number | undefined;
  /**
   * Longest wait; milliseconds, above 0. A call's own deadline can only shorten it.
   *
   * @defaultValue `10_000`
   */
  readonly maxWaitMs?: number | undefined;
  /**
   * An ioredis client, 5 or later, single or cluster: then processes that use the same `id` share the quota. Two
   * connections are made like it; the client itself stays yours.
   *
   * @defaultValue `undefined`, each process for itself
   */
  readonly redis?: IoredisLike | undefined;
  /**
   * Name of the quota in Redis: what shares it says the same. The limits that are there already stay as they are; give a
   * new name to new limits. No effect without `redis`.
   *
   * @defaultValue `'quota'`
   */
  readonly id?: string | undefined;
  /**
   * What becomes of calls while Redis does not answer. No effect without Redis.
   *
   * @defaultValue `'closed'`
   */
  readonly whenAway?: WhenAway | undefined;
  /**
   * How many processes share the quota, for `whenAway: 'local'`; a whole number, 1 or more. A share is rounded down, and
   * at least 1: with more processes than quota they together take more than there is.
   *
   * @defaultValue `1`
   */
  readonly instances?: number | undefined;
  /**
   * Redis counts as away when it has not answered for so long; milliseconds, 50 or more. It is noticed within twice that
   * time, and only while calls wait. A larger value forgives a slow Redis, and makes calls wait longer for a dead one.
   *
   * @defaultValue `1000`
   */
  readonly awayAfterMs?: number | undefined;
  /**
   * When Redis takes a call for over whose process has died; milliseconds, 1 or more. Should exceed the longest call: a
   * longer one goes on, and its place is given away. No effect without `redis`.
   *
   * @defaultValue `60_000`
   */
  readonly expirationMs?: number | undefined;
  /**
   * Tells when a response is over, so that a call keeps its place until its body has ended. Without it the place is free
   * when the response is there.
   *
   * @defaultValue `undefined`
   */
  readonly protocol?: Protocol<Req, Res> | undefined;
  /**
   * Tells the time and waits. Bottleneck itself always follows the platform's.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link QuotaOptions}. */
export const quotaDefaults = {
  Bottleneck: undefined,
  limiter: undefined,
  maxConcurrent: undefined,
  minTimeMs: 0,
  reservoir: undefined,
  refreshMs: undefined,
  refreshAmount: undefined,
  increaseMs: undefined,
  increaseAmount: 1,
  by: undefined,
  maxKeys: 1000,
  maxWaiting: 100,
  maxWaitMs: 10_000,
  redis: undefined,
  id: 'quota',
  whenAway: 'closed',
  instances: 1,
  awayAfterMs: 1000,
  expirationMs: 60_000,
  protocol: undefined,
  clock: systemClock,
} as const;

/** {@link QuotaOptions} with nothing left open that has a default. */
export type QuotaSettings<Req = unknown, Res = unknown> = {
  readonly [Field in keyof QuotaOptions<Req, Res>]-?: (typeof quotaDefaults)[Field] extends undefined
    ? QuotaOptions<Req, Res>[Field]
    : Exclude<QuotaOptions<Req, Res>[Field], undefined>;
};

const count = { min: 1, integer: true } as const;

const bounds: Bounds<QuotaSettings> = {
  maxConcurrent: count,
  minTimeMs: { min: 0 },
  reservoir: count,
  refreshMs: { above: 0 },
  refreshAmount: count,
  increaseMs: { above: 0 },
  increaseAmount: count,
  maxKeys: count,
  maxWaiting: count,
  maxWaitMs: { above: 0 },
  instances: count,
  awayAfterMs: { min: 50 },
  expirationMs: { min: 1 },
};

/** What says how much passes, and so cannot be said of a limiter that exists. */
const limits = [
  'maxConcurrent',
  'minTimeMs',
  'reservoir',
  'refreshMs',
  'refreshAmount',
  'increaseMs',
  'increaseAmount',
  'redis',
  'id',
  'by',
] as const;

function checkOwn(given: QuotaOptions<never, never>, { limiter, whenAway }: QuotaSettings): void {
  checkLimiter(limiter);
  if (limiter.datastore === 'redis')
    throw new TypeError(
      'quota.limiter must not use node-redis: from version 4 on bottleneck hangs with it without an error; use ioredis',
    );
  const useless = limits.find((field) => given[field] !== undefined);
  if (useless !== undefined)
    throw new TypeError(`quota.${useless} has no effect on a limiter that is already made`);
  if (whenAway === 'local')
    throw new TypeError('quota.whenAway cannot be "local" with a limiter that is already made');
}

function checkFilling(settings: QuotaSettings): void {
  const { reservoir, refreshMs, increaseMs, redis } = settings;
  const step = redis === undefined ? 250 : 5000;
  for (const [field, ms] of Object.entries({ refreshMs, increaseMs })) {
    if (ms === undefined) continue;
    if (reservoir === undefined) throw new TypeError(`quota.${field} needs a reservoir`);
    if (ms % step !== 0) throw new RangeError(`quota.${field} must be a multiple of ${step}, got ${ms}`);
  }
  if (refreshMs !== undefined && increaseMs !== undefined)
    throw new TypeError('quota: refreshMs and increaseMs exclude each other');
}

function checkMade(settings: QuotaSettings): void {
  const { Bottleneck, redis, by, id } = settings;
  if (typeof Bottleneck !== 'function')
    throw new TypeError('quota needs Bottleneck, the class, or limiter, one that is made of it');
  checkClass(Bottleneck, redis !== undefined);
  checkFilling(settings);
  if (redis !== undefined) checkIoredis(redis);
  if (by !== undefined && typeof by !== 'function') checkChoice('quota.by', by, ['key', 'operation']);
  if (typeof id !== 'string' || !/^[^{}]+$/.test(id))
    throw new TypeError(`quota.id must be a name without braces, got ${String(id)}`);
}

/**
 * Lays options over the defaults, and checks them.
 *
 * @throws TypeError or RangeError
 */
export function quotaSettings<Req, Res>(given: QuotaOptions<Req, Res>): QuotaSettings<Req, Res> {
  const defaults = quotaDefaults as QuotaSettings<Req, Res>;
  const settings = resolveOptions<QuotaSettings<Req, Res>>('quota', defaults, given, bounds as never);
  checkChoice('quota.whenAway', settings.whenAway, whenAwayChoices);
  if (settings.protocol !== undefined) checkProtocol('quota.protocol', settings.protocol);
  if (settings.Bottleneck !== undefined && settings.limiter !== undefined)
    throw new TypeError('quota takes Bottleneck or limiter, not both');
  if (settings.limiter === undefined) checkMade(settings as QuotaSettings);
  else checkOwn(given as QuotaOptions<never, never>, settings as QuotaSettings);
  return settings;
}
