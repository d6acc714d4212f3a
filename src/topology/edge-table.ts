import { type Edge, type EdgeName, type EdgePeriod, type EdgeSide, otherService } from './edge.js';
import { EdgeTally, slotOf, type Windows } from './edge-tally.js';

/** How many edges are kept apart, and over which windows. */
export interface EdgeTableOptions {
  /** Whose edges they are. */
  readonly service: string;
  /** How long a window is. */
  readonly windowMs: number;
  /** Most edges. */
  readonly maxEdges: number;
  /** Told of the first call in a window. */
  readonly onWindow: () => void;
}

/**
 * The edges of one process, bounded. When there is no room for a new one, the one that was used least recently goes, if it
 * has not been used in this window or the one before; else the new one is counted as `other`. So whoever invents names
 * fills what nobody uses, and takes no edge away from those who do. What has gone is in `other` too: sums are always right.
 */
export class EdgeTable implements Windows {
  readonly windowMs: number;
  private readonly tallies = new Set<EdgeTally>();
  private readonly others = new Map<EdgeSide, EdgeTally>();
  /** The latest window in which anything was counted. */
  private slot = Number.MIN_SAFE_INTEGER;
  /** The window in which nobody was found who could go: until the next there will be none. */
  private crowdedIn = Number.NaN;

  constructor(private readonly options: EdgeTableOptions) {
    this.windowMs = options.windowMs;
  }

  opened(slot: number): void {
    if (slot === this.slot) return;
    this.slot = slot;
    this.options.onWindow();
  }

  /**
   * Makes room for an edge.
   *
   * @param now - when it is used first
   * @param leave - takes it out of where it is found by its name
   * @returns `undefined` if there is no room
   */
  enter(name: EdgeName, now: number, leave: () => void): EdgeTally | undefined {
    if (this.tallies.size >= this.options.maxEdges && !this.makeRoom(now)) return undefined;
    const tally = new EdgeTally(name, this, leave);
    this.tallies.add(tally);
    return tally;
  }

  /** Where calls of edges are counted that there is no room for. */
  other(side: EdgeSide): EdgeTally {
    let tally = this.others.get(side);
    if (tally === undefined) {
      tally = new EdgeTally(this.otherName(side), this, () => undefined);
      this.others.set(side, tally);
    }
    return tally;
  }

  read(period: EdgePeriod, now: number): readonly Edge[] {
    const slot = slotOf(now, this.windowMs);
    return this.all().flatMap((tally) => tally.read(period, slot) ?? []);
  }

  readOwn(): readonly Edge[] {
    return this.all().flatMap((tally) => tally.readOwn() ?? []);
  }

  private all(): readonly EdgeTally[] {
    return [...this.tallies, ...this.others.values()];
  }

  private otherName(side: EdgeSide): EdgeName {
    const { service } = this.options;
    const calls = side === 'client' || side === 'producer';
    return {
      side,
      caller: calls ? service : otherService,
      callee: calls ? otherService : service,
      operation: otherService,
      destination: side === 'client' || side === 'server' ? undefined : otherService,
    };
  }

  private makeRoom(now: number): boolean {
    const slot = slotOf(now, this.windowMs);
    if (this.crowdedIn === slot) return false;
    let idle: EdgeTally | undefined;
    for (const tally of this.tallies) if (idle === undefined || tally.slot < idle.slot) idle = tally;
    if (idle === undefined || !(idle.slot < slot - 1)) {
      this.crowdedIn = slot;
      return false;
    }
    this.tallies.delete(idle);
    idle.leave();
    this.other(idle.name.side).absorb(idle);
    return true;
  }
}
