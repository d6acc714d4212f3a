import type { Clock, Timer } from '../core/clock.js';
import { Feed } from './feed.js';
import type { ServiceInstance } from './instance.js';
import type { Resolution, Watch } from './resolver.js';
import { byId, sameInstances } from './same-instances.js';

/** What a {@link ServiceView} needs. */
export interface ServiceViewInit {
  readonly clock: Clock;
  /** How long instances are kept that a list leaves out which may be wrong; milliseconds. */
  readonly removalHoldMs: number;
  /** A list of less than this share of what is shown may be wrong; 0 for none but the empty one. */
  readonly minListRatio: number;
  /** Told of each snapshot after the listeners. */
  readonly onShow?: (() => void) | undefined;
  /** Told when it became stale or fresh; stale also while nothing is known at all. */
  readonly onTurn?: ((stale: boolean, reason: string | undefined) => void) | undefined;
  /** Told what a listener threw. */
  readonly onFault?: ((error: unknown) => void) | undefined;
}

/**
 * Who is away for longer is lost. For less than this whoever lists and cannot follow is away as well, each time between
 * two tries.
 */
const outageMs = 60_000;

/**
 * What is known of one service, and how far a source is believed that may be away or may have lost its memory.
 *
 * A list that leaves nothing out is believed at once, and so is one that leaves out what the same source listed
 * before. But an empty list, and the first after the source was away, may only mean that instances have not registered
 * anew yet; and a list that lost most of what there was, that the source is cut off from them. Who is left out then is
 * kept until a list names it, for at most `removalHoldMs` and until the source says it again if it failed since, and the
 * view is stale. Otherwise a registry that restarts
 * with an empty memory would take every service down with it, or send all traffic to the first instance that came back.
 */
export class ServiceView {
  private readonly feed: Feed;
  /** What the source said last; undefined until it said anything. */
  private listed: readonly ServiceInstance[] | undefined;
  /** Whether the next list may have lost instances. */
  private doubtful = false;
  /** Until when each instance is kept that was left out in doubt, by id. */
  private held: ReadonlyMap<string, number> = new Map();
  private timer: Timer | undefined;
  /** Whether the source cannot be asked. */
  private away = false;
  /** Since when. */
  private lostMs = 0;
  private stale = false;

  constructor(private readonly init: ServiceViewInit) {
    this.feed = new Feed(init.onFault);
  }

  get current(): Resolution | undefined {
    return this.feed.current;
  }
  get size(): number {
    return this.feed.size;
  }

  subscribe(onChange: (resolution: Resolution) => void): Watch {
    return this.feed.subscribe(onChange);
  }

  /** A list from an earlier life: serves, marked stale, until the source says anything. */
  recall(instances: readonly ServiceInstance[], reason: string): void {
    const empty = this.listed === undefined && !this.feed.current?.instances.length;
    if (empty && instances.length > 0) this.show([...instances].sort(byId), reason);
  }

  /**
   * The source said this.
   *
   * @returns whether it is other than what it said before
   */
  accept(instances: readonly ServiceInstance[]): boolean {
    const next = [...instances].sort(byId);
    // A list from an earlier life is no measure: who is in there and not listed now is gone.
    const known = this.listed !== undefined;
    const changed = this.listed === undefined || !sameInstances(this.listed, next);
    this.listed = next;
    // All at once they rarely leave; and if they do, little harm is done by believing it later.
    const doubtful = this.doubtful || next.length === 0 || (known && this.lostMost(next.length));
    this.doubtful = false;
    this.comeBack();
    this.settle(next, doubtful);
    return changed;
  }

  /**
   * The source cannot be asked: the last good list serves, marked stale. Of a service never heard of that is an empty
   * one, so that whoever waits for it can say why. A second call before the next list does nothing.
   */
  lose(reason: string): void {
    if (this.away) return;
    this.away = true;
    this.lostMs = this.init.clock.now();
    this.close();
    this.show(this.feed.current?.instances ?? [], reason);
  }

  /** The source may have lost its memory without saying so, for example because it was away. */
  doubt(): void {
    // A list from an earlier life is not worth it: who is in there and not listed now is gone.
    if (this.listed !== undefined) this.doubtful = true;
  }

  /** Lets go of the timer. */
  close(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  /**
   * Who is held is not let go for want of a list: the time of an outage does not count. Any shorter absence does, and what
   * had passed before: with a source that is away every now and then, or after each list, the gone would stay for ever.
   */
  private comeBack(): void {
    if (!this.away) return;
    this.away = false;
    const { clock, removalHoldMs } = this.init;
    const awayMs = clock.now() - this.lostMs;
    if (awayMs <= Math.max(removalHoldMs, outageMs)) return;
    this.held = new Map([...this.held].map(([id, until]) => [id, until + awayMs]));
  }

  private lostMost(listed: number): boolean {
    return listed < (this.feed.current?.instances.length ?? 0) * this.init.minListRatio;
  }

  /** Shows what is listed, and those left out whose time is not over. */
  private settle(listed: readonly ServiceInstance[], doubtful: boolean): void {
    const { clock, removalHoldMs } = this.init;
    const now = clock.now();
    const ids = new Set(listed.map(({ id }) => id));
    // Who is listed under another id has not left: it is a new process in the place of the old one.
    const places = new Set(listed.map(placeOf));
    const held = new Map<string, number>();
    const kept = (this.feed.current?.instances ?? []).filter((instance) => {
      if (ids.has(instance.id) || (instance.hostname !== '' && places.has(placeOf(instance)))) return false;
      // A further doubt moves nothing: with a source that fails every minute the gone would stay for ever.
      const until = this.held.get(instance.id) ?? (doubtful ? now + removalHoldMs : now);
      if (until > now) held.set(instance.id, until);
      return until > now;
    });
    this.held = held;
    this.close();
    if (kept.length === 0) {
      this.show(listed, undefined);
      return;
    }
    this.timer = clock.after(Math.min(...held.values()) - now, () => {
      // A source that failed since may be about to name them: its next list decides, or that there is none.
      if (!this.doubtful) this.settle(listed, false);
    });
    const all = listed.length + kept.length;
    const what = listed.length === 0 ? 'no instance' : `${listed.length} of ${all} instances`;
    const reason = `the source lists ${what}; the others of the last good list are kept for a while`;
    this.show([...listed, ...kept].sort(byId), reason);
  }

  private show(instances: readonly ServiceInstance[], reason: string | undefined): void {
    const before = this.feed.current;
    if (before && before.reason === reason && sameInstances(before.instances, instances)) return;
    this.feed.publish({ instances, stale: reason !== undefined, reason });
    this.init.onShow?.();
    this.turn(reason);
  }

  private turn(reason: string | undefined): void {
    const stale = reason !== undefined;
    if (stale === this.stale) return;
    this.stale = stale;
    this.init.onTurn?.(stale, reason);
  }
}

function placeOf({ zone, hostname }: ServiceInstance): string {
  return `${zone}/${hostname}`;
}
