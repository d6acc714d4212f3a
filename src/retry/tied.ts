import type { Call } from '../core/call.js';
import { type Clock, systemClock } from '../core/clock.js';
import type { Middleware } from '../core/handler.js';
import { criteriaOf, type OperationMatch } from '../core/operation-pattern.js';
import { resolveOptions } from '../core/options.js';
import { hedgePreference, tiedPreference } from '../core/preferences.js';
import { checkProtocol, type Protocol } from '../core/protocol.js';
import { measuredDelay } from './hedge-delay.js';
import { budgetOf, type RetryBudget } from './retry-budget.js';
import { type TiedPolicyOptions, tiedPolicy, tiedPolicyDefaults } from './tied-policy.js';
import { type TiedCourse, tiedRace } from './tied-race.js';

/** Options of {@link tied}. */
export interface TiedOptions<Req, Res> extends TiedPolicyOptions {
  /** Tells how a copy ended, whether a request can be sent again, and how to let go of a response. */
  readonly protocol: Protocol<Req, Res>;
  /**
   * Which operations are tied. Others pass as if this were not there.
   *
   * @defaultValue `'*'`
   */
  readonly routes?: OperationMatch | readonly OperationMatch[] | undefined;
  /**
   * Whether calls that must not run twice are tied too. The second copy then asks before it starts, and is let only when
   * the server of the first says that the first never will: a round trip more, if the second wins. `false` leaves them
   * alone.
   *
   * @defaultValue `true`
   */
  readonly claim?: boolean | undefined;
  /**
   * When an endpoint tells of no starts its idempotent calls are hedged instead: the delay is the latency that this share of
   * the calls did not exceed, 0.5 to 0.999.
   *
   * @defaultValue `0.95`
   */
  readonly hedgePercentile?: number | undefined;
  /**
   * Least delay of such a hedge, in milliseconds; 0 or more. A larger value leaves fast operations alone.
   *
   * @defaultValue `10`
   */
  readonly minHedgeDelayMs?: number | undefined;
  /**
   * Bounds such hedges. Share it with `retry` and `hedge`, whose calls then also fill it.
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

/** Defaults of {@link TiedOptions}. */
export const tiedDefaults = {
  ...tiedPolicyDefaults,
  routes: '*',
  claim: true,
  hedgePercentile: 0.95,
  minHedgeDelayMs: 10,
  budget: undefined,
  clock: systemClock,
} as const;

type Settings<Req, Res> = {
  readonly [Field in keyof typeof tiedPolicyDefaults]: (typeof tiedPolicyDefaults)[Field];
} & {
  readonly routes: OperationMatch | readonly OperationMatch[];
  readonly claim: boolean;
  readonly hedgePercentile: number;
  readonly minHedgeDelayMs: number;
  readonly clock: Clock;
} & { readonly [Field in 'budget' | 'protocol']: TiedOptions<Req, Res>[Field] | undefined };

function policyOf<Req, Res>(given: Settings<Req, Res>): TiedPolicyOptions {
  const { delayMs, minDelayMs, minServiceMs, minLoadRatio, maxCopyRatio, maxDuplicateRatio } = given;
  return { delayMs, minDelayMs, minServiceMs, minLoadRatio, maxCopyRatio, maxDuplicateRatio };
}

/**
 * Sends a second copy of a call to another endpoint when the first has not *started* after about a round trip; the first to
 * start is kept, and the other is taken back while it stands in line.
 *
 * Use it inside of `retry` and outside of what picks the endpoint, for calls whose wait in the line of a busy server
 * matters: it cuts the tail at high load, where `hedge` adds to it, because hardly anything runs twice. Not for calls that
 * take their server less than half a millisecond, nor where servers have no queue of their own (`dispatchQueue`): a call
 * that starts as it arrives is never beaten. A call that is doubled costs its client three requests instead of one.
 *
 * It needs servers of keelson that tell of starts, over HTTP/1.1 by `fetch` or over gRPC, and that report their load; beside
 * any other, and while too many calls ran twice, it hedges, if the call is idempotent. Calls that must not run twice are tied over HTTP/1.1 only. Requests that
 * cannot be sent again (streams) are sent once.
 *
 * The winner's failure is the call's; `retry` decides on it. A timer of the platform waits at least 1 ms, so shorter delays
 * are 1 to 1.2 ms in effect; to poll for less would keep a whole core busy.
 *
 * @throws TypeError or RangeError for options that are out of range. Calls are rejected with what a function in `routes`
 * throws
 * @example
 * ```ts
 * const budget = retryBudget();
 * const client = compose([retry({ protocol, budget }), tied({ protocol, budget, routes: '/search' })], leaf);
 * ```
 *
 * Source: Dean and Barroso, "The Tail at Scale", CACM 2013 (tied requests). There the servers tell each other; here the
 * client is told of the start, by a queue that can when the copy is the next, and takes the other back, so that servers need
 * not be able to reach each other. The wire is described in `docs/tied-requests.md`.
 */
export function tied<Req, Res>(options: TiedOptions<Req, Res>): Middleware<Req, Res> {
  const given = resolveOptions<Settings<Req, Res>>(
    'tied',
    { ...tiedDefaults, protocol: undefined },
    options,
    {
      hedgePercentile: { min: 0.5, max: 0.999 },
      minHedgeDelayMs: { min: 0 },
    },
  );
  const { byName, byCall } = criteriaOf('tied.routes', given.routes);
  const shared: Omit<TiedCourse<Req, Res>, 'next'> = {
    protocol: checkProtocol('tied.protocol', given.protocol),
    policy: tiedPolicy(policyOf(given)),
    delay: measuredDelay(given.hedgePercentile, given.minHedgeDelayMs),
    budget: budgetOf('tied.budget', given.budget, given.clock.now()),
    deposits: given.budget === undefined,
    clock: given.clock,
  };
  const { claim } = given;
  const wanted = (call: Call): boolean => {
    const { values, operation } = call;
    if (!(claim || call.idempotent) || values.get(tiedPreference) === false) return false;
    if (values.get(hedgePreference) === false) return false;
    return byName(operation) || byCall.some((test) => test(call) === true);
  };
  return (next) => {
    const course = { ...shared, next };
    return (request, call) => {
      try {
        return wanted(call) ? tiedRace(course, request, call) : next(request, call);
      } catch (fault) {
        return Promise.reject(fault);
      }
    };
  };
}
