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
  /** Told of each snapshot after the listeners, and whether with it the view became stale or fresh. */
  readonly onShow?: ((resolution: Resolution, turned: boolean) => void) | undefined;
  /** Told what a listener threw. */
  readonly onFault?: ((error: unknown) => void) | undefined;
}

/**
 * What is known of one service, and how far a source is believed that may be away or may have lost its memory.
 *
 * A list that leaves nothing out is believed at once, and so is one that leaves out what the same source listed
 * before. But an empty list, and those within `removalHoldMs` after the source was away, may only mean that instances
 * have not registered anew yet: who is left out without having been confirmed since is kept for at most
 * `removalHoldMs`, and the view is stale. Otherwise a registry that restarts with an empty memory would take every
 * service down with it, or send all traffic to the first instance that came back.
 */
export class ServiceView {
  private readonly feed: Feed;
  /** What the source said last; undefined until it said anything. */
  private listed: readonly ServiceInstance[] | undefined;
  private doubtUntil = Number.NEGATIVE_INFINITY;
  /** Ids of those whom the source has not listed since the doubt began. */
  private readonly unconfirmed = new Set<string>();
  private hold: Timer | undefined;

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
    if (this.feed.current === undefined && instances.length > 0) this.show([...instances].sort(byId), reason);
  }

  /**
   * The source said this.
   *
   * @returns whether it is other than what it said before
   */
  accept(instances: readonly ServiceInstance[]): boolean {
    const next = [...instances].sort(byId);
    const changed = this.listed === undefined || !sameInstances(this.listed, next);
    this.listed = next;
    const ids = new Set(next.map(({ id }) => id));
    for (const id of ids) this.unconfirmed.delete(id);
    // Who is listed under another id has not left: it is a new process in the place of the old one.
    const places = new Set(next.map(placeOf));
    const left = this.known.filter((instance) => !ids.has(instance.id) && !places.has(placeOf(instance)));
    // All at once they rarely leave; and if they do, little harm is done by believing it later.
    if (next.length === 0) this.distrust(left, this.hold ? this.doubtUntil : this.inAWhile);
    const doubted = this.init.clock.now() < this.doubtUntil;
    const kept = doubted ? left.filter(({ id }) => this.unconfirmed.has(id)) : [];
    if (kept.length > 0) this.keep(kept, next);
    else this.believe();
    return changed;
  }

  /**
   * The source cannot be asked: the last good list serves, marked stale. Nothing is said of a service never heard of.
   */
  lose(reason: string): void {
    this.release();
    if (this.feed.current) this.show(this.feed.current.instances, reason);
  }

  /** The source may have lost its memory without saying so, for example because it was away. */
  doubt(): void {
    // A list from an earlier life is not worth it: who is in there and not listed now is gone.
    if (this.listed !== undefined) this.distrust(this.known, this.inAWhile);
  }

  /** Lets go of the timer. */
  close(): void {
    this.release();
  }

  private get known(): readonly ServiceInstance[] {
    return this.feed.current?.instances ?? [];
  }
  private get inAWhile(): number {
    return this.init.clock.now() + this.init.removalHoldMs;
  }

  private distrust(instances: readonly ServiceInstance[], until: number): void {
    this.doubtUntil = until;
    for (const { id } of instances) this.unconfirmed.add(id);
  }

  private keep(kept: readonly ServiceInstance[], next: readonly ServiceInstance[]): void {
    // Not moved by further doubts: a source that fails every minute would keep the gone for ever.
    this.hold ??= this.init.clock.after(this.init.removalHoldMs, () => this.believe());
    const all = next.length + kept.length;
    const what = next.length === 0 ? 'no instance' : `${next.length} of ${all} instances`;
    const reason = `the source lists ${what}; the others of the last good list are kept for a while`;
    this.show([...next, ...kept].sort(byId), reason);
  }

  private believe(): void {
    this.release();
    this.unconfirmed.clear();
    this.show(this.listed ?? [], undefined);
  }

  private release(): void {
    this.hold?.cancel();
    this.hold = undefined;
  }

  private show(instances: readonly ServiceInstance[], reason: string | undefined): void {
    const before = this.feed.current;
    const stale = reason !== undefined;
    if (before && before.reason === reason && sameInstances(before.instances, instances)) return;
    const resolution = { instances, stale, reason };
    this.feed.publish(resolution);
    this.init.onShow?.(resolution, stale !== (before?.stale ?? false));
  }
}

function placeOf({ zone, hostname }: ServiceInstance): string {
  return `${zone}/${hostname}`;
}
