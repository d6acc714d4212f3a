import type { Call } from '../core/call.js';
import { type Cancellation, uncancelled } from '../core/cancel.js';
import { type GovernanceError, refusal } from '../core/errors.js';
import type { Ask } from '../core/gate.js';
import type { Handler } from '../core/handler.js';
import { checkChoice } from '../core/options.js';
import { KeyBook } from './key-book.js';
import { Link } from './link.js';
import { type Settings, type SharedRateOptions, settingsOf } from './rate-options.js';
import { evaluatorOf } from './redis-client.js';
import { Share, type Terms } from './share.js';
import { passed, unknown } from './verdict.js';

/** What {@link sharedRate} says of one key in this process. */
export interface SharedRateSnapshot {
  /** How much would pass now without asking Redis. */
  readonly held: number;
  /** How many calls wait for Redis. */
  readonly waiting: number;
  /** Whether decisions are made without Redis. */
  readonly away: boolean;
  /** How many keys are remembered. */
  readonly keys: number;
  /** How often Redis was asked, for any key, since the start. */
  readonly trips: number;
}

/** A rate that many processes share: a middleware, and a little more. */
export interface SharedRate {
  /** As a middleware: refuses calls that come too fast. */
  <Req, Res>(next: Handler<Req, Res>): Handler<Req, Res>;
  /**
   * Without a handler: resolves if such a call may pass, and counts it.
   *
   * @throws GovernanceError (as a rejection) `RATE_LIMITED`; the caller's own reason if it gives up meanwhile
   */
  admit(ask?: Ask & { readonly cancel?: Cancellation | undefined }): Promise<void>;
  /** What this process knows for the key of such a call; asks nobody. */
  snapshot(ask?: Ask): SharedRateSnapshot;
  /**
   * Gives back what was taken in advance. Calls that come later are decided as when Redis is away. The client is left
   * open.
   */
  close(): Promise<void>;
}

const keyReaders = {
  key: (ask: Ask | undefined): string => ask?.key ?? '',
  operation: (ask: Ask | undefined): string => ask?.operation ?? '',
};

function readerOf(by: SharedRateOptions['by']): (ask: Ask | undefined) => string {
  if (by === undefined) return () => '';
  if (typeof by === 'function') return by;
  return keyReaders[checkChoice('sharedRate.by', by, ['key', 'operation'])];
}

/** What is not a finite number, or below zero, is a mistake of the caller and counts as one call; as in `rate`. */
function costOf(ask: Ask | undefined): number {
  const cost = ask?.cost;
  return cost !== undefined && cost >= 0 && cost < Number.POSITIVE_INFINITY ? cost : 1;
}

/** The hook is the user's, the call that happened to bring the change about is not: what it throws stays here. */
function reporterOf(hook: SharedRateOptions['onTransition']): Terms['report'] {
  return (away, key, error) => {
    try {
      const result: unknown = hook?.({ away, key, error });
      if (result instanceof Promise) result.catch(() => undefined);
    } catch {
      // See above.
    }
  };
}

/** A call, or as much of one as there is without a stack. */
type Asking = Ask & Partial<Pick<Call, 'service' | 'side' | 'cancel'>>;

/** This process among those that have a limit in common. */
class Member {
  private readonly terms: Terms;
  private readonly shares: KeyBook<Share>;
  private readonly keyOf: (ask: Ask | undefined) => string;
  private closing: Promise<void> | undefined;

  constructor(settings: Settings) {
    const report = reporterOf(settings.onTransition);
    const link = new Link({ ...settings, report, evaluate: evaluatorOf(settings.redis) });
    this.terms = { ...settings, report, link };
    this.shares = new KeyBook(settings.maxKeys, (key) => new Share(key, this.terms));
    this.keyOf = readerOf(settings.by);
  }

  /** Lets pass by `undefined`, refuses by an error, or promises to decide. */
  admit(asking: Asking | undefined): Promise<void> | GovernanceError | undefined {
    const share = this.shares.of(this.keyOf(asking));
    const cost = costOf(asking);
    const verdict = share.decide(this.terms.clock.now(), cost);
    if (verdict === passed) return undefined;
    if (verdict !== unknown) return this.refusal(verdict, asking);
    return new Promise((pass, reject) => {
      const refuseFor = (waitMs: number): Error => this.refusal(waitMs, asking);
      share.wait(cost, { cancel: asking?.cancel ?? uncancelled, pass, reject, refusal: refuseFor });
    });
  }

  snapshot(ask: Ask | undefined): SharedRateSnapshot {
    const { link, clock } = this.terms;
    const share = this.shares.peek(this.keyOf(ask));
    return {
      held: share?.held(clock.now()) ?? 0,
      waiting: share?.waiting ?? 0,
      away: share?.isAway ?? link.isAway,
      keys: this.shares.size,
      trips: link.trips,
    };
  }

  close(): Promise<void> {
    this.terms.link.close();
    this.closing ??= Promise.all(this.shares.values().map((share) => share.close())).then(() => undefined);
    return this.closing;
  }

  private refusal(waitMs: number, asking: Asking | undefined): GovernanceError {
    const what = asking?.service === undefined ? this.terms.name : `${asking.service} ${asking.operation}`;
    return refusal('RATE_LIMITED', `${what}: refused (RATE_LIMITED)`, {
      // A call that costs more than the burst never passes.
      retryAfterMs: waitMs === Number.POSITIVE_INFINITY ? undefined : waitMs,
      service: asking?.service,
      side: asking?.side ?? 'client',
    });
  }
}

/**
 * Refuses calls that come faster than a rate that several processes share through Redis, with a burst on top.
 *
 * Use it for a quota that is sold or promised for a whole service: per tenant, per user, per address. It waits for Redis
 * only when it knows nothing, so it is a middleware and no gate. Not against overload, for it knows nothing of how busy a
 * server is; and where a limit per process will do, `rate` needs no Redis.
 *
 * Redis grants; this process spends. It takes what it uses within `aheadMs` in advance, asks again before that is used
 * up, and remembers until when Redis has nothing: so a call on a busy key, passed or refused, costs no round trip, and
 * one that is the first for a while costs one. A token that is not used within twice `aheadMs` is given back. A call that
 * passed has spent its cost however it ends.
 *
 * The error. GCRA grants at most `burst + perSecond * s` in any `s` seconds, and a token is used within `A` of its grant
 * or not at all: `2 * aheadMs`, or `timeoutMs` where that is longer, for a call that waits has its token at the answer;
 * both together for the few that it holds already while it waits for the rest of a cost above 1. So what passes in any
 * `t` seconds was granted in `t + A`: at most `burst + perSecond * (t + A)`, with any number of processes. While every
 * process wants more than it gets, all is granted but what came in since the last question, at most `0.75 * aheadMs` ago,
 * and all that is granted is used but what was granted within the last `A`: at least `perSecond * (t - A - 0.75 *
 * aheadMs)`, less a round trip. With the defaults that is 0.2 s too much or 0.275 s too little at the very most: 0.7 % and
 * 0.9 % of 30 seconds. A burst that is less than what comes in a round trip, or between two calls, runs over besides. A
 * limit of less than two calls in `aheadMs` is exact: nothing is taken in advance. Each time that Redis loses its memory or
 * its clock jumps ahead at most one `burst` more passes, each time that it is away at most two (`local`, and as many
 * `processes` as there are).
 *
 * Redis away or slow: a call waits `timeoutMs` at most, twice that if a question was under way when it came; then
 * `whenAway` decides. When two questions in a row have failed nobody waits any longer: one call in 0.1 to 2 seconds has
 * Redis asked in the background, and when it answers all goes on as before. A key that somebody wrote something else to
 * is treated as if Redis were away for that key, and is left as it is.
 *
 * One key of Redis for each key, `keelson:{name:key}` (`%` and `}` of the key escaped), which expires when nothing is
 * owed; one script on one key for each question, so it runs on a cluster. Redis's clock decides, so those of the
 * processes need not agree. Processes that disagree on the limit each apply their own to what all have spent.
 *
 * @param options - the client, the rate, what happens without Redis
 * @throws TypeError or RangeError at construction for options that are out of range. Refusals are `RATE_LIMITED`, with
 * `retryAfterMs`
 * @example
 * ```ts
 * const perTenant = sharedRate({ redis: new Redis(), name: 'api', perSecond: 500, by: 'key', processes: 4 });
 * const server = http.createServer(app.listener(handler, { key: tenantOf, use: [perTenant] }));
 * ```
 *
 * Source: GCRA, the generic cell rate algorithm (ITU-T I.371, "continuous-state leaky bucket"); as in redis-cell the
 * whole decision is one atomic step. Ours is a script, so it needs no module, and grants many tokens at a time.
 */
export function sharedRate(options: SharedRateOptions): SharedRate {
  const member = new Member(settingsOf(options));
  const middleware =
    <Req, Res>(next: Handler<Req, Res>): Handler<Req, Res> =>
    (request, call) => {
      try {
        const decision = member.admit(call);
        if (decision === undefined) return next(request, call);
        if (decision instanceof Promise) return decision.then(() => next(request, call));
        return Promise.reject(decision);
      } catch (fault) {
        return Promise.reject(fault);
      }
    };
  return Object.assign(middleware, {
    admit: async (ask?: Asking): Promise<void> => {
      const decision = member.admit(ask);
      if (decision instanceof Promise) return decision;
      if (decision !== undefined) throw decision;
    },
    snapshot: (ask?: Ask): SharedRateSnapshot => member.snapshot(ask),
    close: (): Promise<void> => member.close(),
  });
}
