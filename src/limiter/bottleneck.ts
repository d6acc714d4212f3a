/**
 * Quotas of other people's services, paced by bottleneck: for one process, or shared through Redis. Neither bottleneck nor
 * a Redis client is imported; they are given.
 *
 * @module
 */
import type { Call } from '../core/call.js';
import { type Handler, invoke, type Middleware } from '../core/handler.js';
import { type Protocol, whenOver } from '../core/protocol.js';
import { verdictOnRefusal } from '../core/verdict.js';
import type { BottleneckClass, BottleneckJob, BottleneckLike, IoredisLike } from './bottleneck-like.js';
import {
  type QuotaOptions,
  type QuotaSettings,
  quotaDefaults,
  quotaSettings,
  type WhenAway,
  whenAwayChoices,
} from './bottleneck-options.js';
import { Pacer } from './bottleneck-pacer.js';
import type { Place } from './bottleneck-place.js';

export {
  type BottleneckClass,
  type BottleneckJob,
  type BottleneckLike,
  type IoredisLike,
  type QuotaOptions,
  quotaDefaults,
  type WhenAway,
  whenAwayChoices,
};

/** A {@link quota} at one moment. */
export interface QuotaSnapshot {
  /** Calls that wait, under all keys. */
  readonly waiting: number;
  /** Calls that have a place and are not over. */
  readonly running: number;
  /** Keys that are remembered. */
  readonly keys: number;
  /** Whether Redis does not answer. */
  readonly away: boolean;
}

/** A middleware that makes calls wait for their turn under a quota. */
export interface Quota<Req, Res> extends Middleware<Req, Res> {
  /** What it knows at this moment. */
  snapshot(): QuotaSnapshot;
  /**
   * Refuses from now on those who come and those who wait, and lets go of limiters and connections when the calls that
   * have a place are over, after five seconds at the latest.
   */
  stop(): Promise<void>;
}

function send<Req, Res>(
  { next, protocol }: { next: Handler<Req, Res>; protocol: Protocol<Req, Res> | undefined },
  [request, call]: readonly [Req, Call],
  place: Place,
): Promise<Res> {
  if (call.cancel.aborted) {
    place.leave(false);
    return Promise.reject(call.cancel.reason);
  }
  return invoke(next, request, call).then(
    (response) => {
      let followed = false;
      try {
        if (protocol !== undefined) whenOver(protocol, response, () => place.leave(true));
        followed = protocol !== undefined;
      } finally {
        // Without a protocol, or with one that throws: the place must not be taken for ever.
        if (!followed) place.leave(true);
      }
      return response;
    },
    (error: unknown) => {
      place.leave(verdictOnRefusal(error, call.side)?.outcome !== 'unsent');
      throw error;
    },
  );
}

/**
 * Makes calls wait for their turn, so that a quota is kept: calls under way, time between two, a reservoir that is filled
 * again; in this process, or through Redis in all that share it.
 *
 * Use it for somebody else's quota that is counted in calls per second or minute: an API that is paid by the call, a mail
 * gate, a scraper. Put it among `useAttempt`, where each try counts, as the other side counts it. Not in the way of every
 * request and not for more than 100 calls a second: bottleneck goes through four turns of the event loop and a lock for
 * each call (about 5 ms, with Redis 15 ms), and from about 300 a second on it only falls behind. For a rate in the way of
 * requests use `rate` or `sharedRate`; to protect a server, `bbr`.
 *
 * - Calls wait in order of `priority`, the higher first. A call that is cancelled leaves at once and uses up nothing.
 * - A call waits until its deadline at most, and not longer than `maxWaitMs`; inside of a stack's `deadline` both hold.
 * - `cost` is what a call takes of `maxConcurrent` and `reservoir`; rounded up. One that costs more than there ever is, is
 *   refused at once.
 * - A call that is refused further in, before anything is sent, gives back what it took of the reservoir.
 * - While Redis does not answer, `whenAway` holds: never do calls wait for ever. When it answers again, with or without
 *   what it knew, the quota goes on by itself. Processes that start while the data is gone begin with a full reservoir.
 *
 * @param options - the limits; there are none by default
 * @throws TypeError or RangeError at construction for options out of range. Calls that find no place are rejected with
 * GovernanceError `RATE_LIMITED`, mostly with `retryAfterMs`; after `stop` with `SHUTTING_DOWN`
 * @example
 * ```ts
 * const pace = quota({ Bottleneck, redis, id: 'payments', reservoir: 600, refreshMs: 60_000, minTimeMs: 50 });
 * const payments = app.fetch('payments', { useAttempt: [pace] });
 * await pace.stop();
 * ```
 *
 * Source: bottleneck 2.19.5, `lib/Bottleneck.js` and `lib/RedisDatastore.js`. We keep the queue ourselves, see `Lane`,
 * and mend what Redis 7 broke, see `heal`.
 */
export function quota<Req = unknown, Res = unknown>(options: QuotaOptions<Req, Res>): Quota<Req, Res> {
  const settings = quotaSettings(options);
  const { protocol } = settings;
  const pacer = new Pacer(settings as unknown as QuotaSettings);
  const middleware: Middleware<Req, Res> = (next) => {
    const way = { next, protocol };
    return (request, call) => pacer.enter(call).then((place) => send(way, [request, call], place));
  };
  return Object.assign(middleware, {
    snapshot: (): QuotaSnapshot => {
      const { waiting, running, keys, away } = pacer;
      return { waiting, running, keys, away };
    },
    stop: () => pacer.stop(),
  });
}
