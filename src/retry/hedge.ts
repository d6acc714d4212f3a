import { type Clock, systemClock } from '../core/clock.js';
import type { Middleware } from '../core/handler.js';
import { resolveOptions } from '../core/options.js';
import { hedgePreference } from '../core/preferences.js';
import { checkProtocol, type Protocol } from '../core/protocol.js';
import { tiedCopies } from '../core/tied-copy.js';
import { fixedDelay, measuredDelay } from './hedge-delay.js';
import { type Course, race } from './race.js';
import { budgetOf, type RetryBudget } from './retry-budget.js';

/** Options of {@link hedge}. */
export interface HedgeOptions<Req, Res> {
  /** Tells how a copy ended, whether a request can be sent again, and how to let go of a response. */
  readonly protocol: Protocol<Req, Res>;
  /**
   * How long to give a copy before the next is sent, in milliseconds; 0 or more, at a resolution of 4. A larger value
   * sends fewer copies and cuts less of the tail. Without it the delay is measured.
   *
   * @defaultValue `undefined`
   */
  readonly delayMs?: number | undefined;
  /**
   * Which share of the calls the first copy should answer alone, 0.5 to 0.999: the delay is the latency that this
   * share did not exceed, per operation, over the last half minute. Nothing is hedged before 50 calls were measured. A
   * larger value sends fewer copies. No effect with `delayMs`.
   *
   * @defaultValue `0.95`
   */
  readonly percentile?: number | undefined;
  /**
   * Least delay that is measured, in milliseconds; 0 or more. A larger value leaves fast operations alone. No effect
   * with `delayMs`.
   *
   * @defaultValue `10`
   */
  readonly minDelayMs?: number | undefined;
  /**
   * Most copies beyond the first; a whole number, 1 to 5. A larger value cuts more of the tail where several endpoints
   * are slow at a time, at the price of their load.
   *
   * @defaultValue `1`
   */
  readonly maxHedges?: number | undefined;
  /**
   * Bounds the copies of all calls together. Share it with `retry`, whose calls then also fill it; a hedge fills only
   * a budget of its own.
   *
   * @defaultValue a `retryBudget()` of its own
   */
  readonly budget?: RetryBudget | undefined;
  /**
   * Tells the time and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link HedgeOptions}. */
export const hedgeDefaults = {
  delayMs: undefined,
  percentile: 0.95,
  minDelayMs: 10,
  maxHedges: 1,
  budget: undefined,
  clock: systemClock,
} as const;

type Settings<Req, Res> = {
  readonly percentile: number;
  readonly minDelayMs: number;
  readonly maxHedges: number;
  readonly clock: Clock;
} & {
  readonly [Field in 'delayMs' | 'budget' | 'protocol']: HedgeOptions<Req, Res>[Field] | undefined;
};

/**
 * Sends a second copy of a call to another endpoint when the first is slower than usual, and takes the first success.
 *
 * Use it inside of `retry` and outside of what picks the endpoint, for reads whose slowest answers matter and whose
 * service has room. Not where slowness means overload: copies make that worse, within the budget.
 *
 * Only idempotent calls whose request can be sent again are copied, and only while an endpoint is left that none of the
 * copies went to. The loser is cancelled, which says nothing of its endpoint. A copy that fails does not win while
 * another runs; if all fail, the last failure is returned, and `retry` decides on it.
 *
 * @throws TypeError or RangeError for options that are out of range
 * @example
 * ```ts
 * const budget = retryBudget();
 * const client = compose([retry({ protocol, budget }), hedge({ protocol, budget })], leaf);
 * ```
 *
 * Source: Dean and Barroso, "The Tail at Scale", CACM 2013 (hedged requests at the 95th percentile); Finagle's
 * `BackupRequestFilter`, which also draws on a budget. A copy that lost counts with the time it had, so that cutting the
 * tail does not by and by lower the percentile.
 */
export function hedge<Req, Res>(options: HedgeOptions<Req, Res>): Middleware<Req, Res> {
  const given = resolveOptions<Settings<Req, Res>>(
    'hedge',
    { ...hedgeDefaults, protocol: undefined },
    options,
    {
      delayMs: { min: 0 },
      percentile: { min: 0.5, max: 0.999 },
      minDelayMs: { min: 0 },
      maxHedges: { min: 1, max: 5, integer: true },
    },
  );
  const shared: Omit<Course<Req, Res>, 'next'> = {
    protocol: checkProtocol('hedge.protocol', given.protocol),
    budget: budgetOf('hedge.budget', given.budget, given.clock.now()),
    deposits: given.budget === undefined,
    delay:
      given.delayMs === undefined
        ? measuredDelay(given.percentile, given.minDelayMs)
        : fixedDelay(given.delayMs),
    maxHedges: given.maxHedges,
    clock: given.clock,
  };
  return (next) => {
    const course = { ...shared, next };
    return (request, call) => {
      const { values } = call;
      // One that is tied has its copies already.
      const wanted =
        call.idempotent && values.get(hedgePreference) !== false && values.get(tiedCopies) === undefined;
      return wanted ? race(course, request, call) : next(request, call);
    };
  };
}
