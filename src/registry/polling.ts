import type { Timer } from '../core/clock.js';
import type { Engine, Exchange } from './engine.js';
import { codes, limitExceeded } from './refused.js';
import { plain, type Reply } from './reply.js';
import type { Waiter } from './waiting-room.js';

/** One app that a poll watches. */
export interface Watched {
  readonly appid: string;
  /** Its identity. */
  readonly key: string;
  /** Its change counter as the client knows it. */
  readonly since: bigint;
}

/** What a client asked to be told of. */
export interface Poll {
  readonly env: string;
  /** One zone; empty for all. */
  readonly zone: string;
  /** Each app once. */
  readonly watched: readonly Watched[];
  /** Puts the lists that changed, and the apps that are unknown, into the endpoint's own form. */
  form(changed: ReadonlyMap<string, Buffer>, missing: readonly string[]): Reply;
}

/** Only instances that take traffic are told to those who poll. */
const upOnly = 1;
/** The answer has to reach the client before it gives up. */
const returnTripMs = 20;

/** A poll on its connection, parked or not. */
export class PendingPoll implements Waiter {
  readonly keys: readonly string[];
  private timer: Timer | undefined;
  /** Apps that were unknown when it began to wait. Had one of them come since, that would have woken it. */
  private missing: readonly string[] = [];

  constructor(
    private readonly engine: Engine,
    private readonly poll: Poll,
    private readonly exchange: Exchange,
  ) {
    this.keys = poll.watched.map(({ key }) => key);
  }

  /**
   * Looks, and waits when there is nothing to tell.
   *
   * @returns the answer, unless it waits for one
   * @throws Refused when too many wait already
   */
  start(): Reply | undefined {
    const { engine, exchange } = this;
    const { changed, missing, empty } = this.look();
    // Clients of the original forget the counter of an empty list and come straight back for it, hundreds of times a
    // second. The first one is told at once, the next after a pause.
    const lastMs = engine.emptyLists.get(exchange.connection) ?? Number.NEGATIVE_INFINITY;
    const pauseMs = empty ? lastMs + engine.emptyListGapMs - engine.clock.now() : 0;
    if (changed.size > 0 && !(pauseMs > 0)) return this.told(changed, missing, empty);
    this.missing = missing;
    const waitMs = Math.min(engine.pollParkMs, exchange.patienceMs - returnTripMs);
    return this.park(changed.size > 0 ? Math.min(waitMs, pauseMs) : waitMs);
  }

  wake(key: string): void {
    this.timer?.cancel();
    this.exchange.answer(this.changeOf(key));
  }

  dismiss(): void {
    this.timer?.cancel();
    this.exchange.answer(goingAway);
  }

  private changeOf(key: string): Reply {
    const { env, zone, watched } = this.poll;
    const appid = watched.find((app) => app.key === key)?.appid ?? '';
    const list = this.engine.store.current({ env, appid, zone, status: upOnly });
    if (list === undefined) return unchanged;
    const missing = this.missing.filter((other) => other !== appid);
    return this.told(new Map([[appid, list.json]]), missing, list.instances === 0);
  }

  private park(ms: number): Reply | undefined {
    const { engine, exchange } = this;
    if (engine.closing) return goingAway;
    if (!(ms > 0)) return unchanged;
    const { parkedPolls, watches } = engine.limits;
    if (engine.room.size >= parkedPolls)
      throw limitExceeded(`${parkedPolls} polls wait already, which is the most this registry takes`);
    if (engine.room.watches + this.keys.length > watches)
      throw limitExceeded(`${watches} apps are watched at most, summed over polls`);
    engine.room.enter(this);
    this.timer = engine.clock.after(ms, () => {
      if (engine.room.leave(this)) exchange.answer(this.late());
    });
    exchange.onGone(() => {
      this.timer?.cancel();
      engine.room.leave(this);
    });
    return undefined;
  }

  private late(): Reply {
    const { changed, missing, empty } = this.look();
    return changed.size > 0 ? this.told(changed, missing, empty) : unchanged;
  }

  private look(): { changed: ReadonlyMap<string, Buffer>; missing: readonly string[]; empty: boolean } {
    const { env, zone, watched } = this.poll;
    const changed = new Map<string, Buffer>();
    const missing: string[] = [];
    let empty = true;
    for (const { appid, since } of watched) {
      const found = this.engine.store.listSince({ env, appid, zone, status: upOnly }, since);
      if (found === 'missing') missing.push(appid);
      if (typeof found !== 'object') continue;
      changed.set(appid, found.json);
      if (found.instances > 0) empty = false;
    }
    return { changed, missing, empty };
  }

  private told(changed: ReadonlyMap<string, Buffer>, missing: readonly string[], empty: boolean): Reply {
    if (empty) this.engine.emptyLists.set(this.exchange.connection, this.engine.clock.now());
    return this.poll.form(changed, missing);
  }
}

const unchanged = plain(codes.notModified);
const goingAway = plain(codes.serverError, 'this registry is closing');
