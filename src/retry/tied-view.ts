import type { ServerLoad } from '../core/outcome.js';

/** How long a report says anything, in milliseconds. */
const reportAgeMs = 10_000;
/** The least round trip is that of two such times, the running one and the one before; milliseconds. */
const tripWindowMs = 10_000;
/** From here on a mean wait grows beyond all bounds; a server at its limit has one anyhow. */
const mostBusy = 0.98;
/** So many calls in line are no accident below half load. */
const jam = 8;

const finite = (value: number | undefined): value is number => value !== undefined && value >= 0;

/** What a client knows of one endpoint by the copies that it sent there. */
export class ReplicaView {
  /** Whether it tells of starts. */
  tells = false;
  /** How long a call occupies it, if it says so; milliseconds. */
  serviceMs: number | undefined = undefined;
  /** Which part of the time it is busy, if it says so; 0 to 1. */
  loadRatio: number | undefined = undefined;
  private backlogMs = 0;
  private toldAt = Number.NEGATIVE_INFINITY;
  private least = Number.POSITIVE_INFINITY;
  private leastBefore = Number.POSITIVE_INFINITY;
  private windowAt = Number.NEGATIVE_INFINITY;

  fresh(now: number): boolean {
    return now - this.toldAt <= reportAgeMs;
  }

  reported({ serviceMs, perSecond, cpuRatio, backlogMs }: ServerLoad, now: number): void {
    const busy = finite(serviceMs) && finite(perSecond) ? (serviceMs * perSecond) / 1000 : cpuRatio;
    // Only what says how busy it is, or what waits, is a report of any use here.
    if (!finite(busy) && !finite(backlogMs)) return;
    this.serviceMs = finite(serviceMs) ? serviceMs : undefined;
    this.loadRatio = finite(busy) ? Math.min(1, busy) : undefined;
    this.backlogMs = finite(backlogMs) ? backlogMs : 0;
    this.toldAt = now;
  }

  /** The least time from a copy to the notice of its start is a round trip: then nothing stood before it. */
  started(afterMs: number, now: number): void {
    this.tells = true;
    if (!finite(afterMs)) return;
    this.roll(now);
    if (afterMs < this.least) this.least = afterMs;
  }

  roundTripMs(now: number): number {
    this.roll(now);
    return Math.min(this.least, this.leastBefore);
  }

  /**
   * How long a call that comes now may have to wait, in milliseconds: what was told of the backlog, less what the server
   * has got ahead of its callers since; or what that much work makes wait on average by chance, if that is more. Of an M/M/1
   * queue that is ρ/(1−ρ) service times.
   */
  waitMs(now: number): number {
    const busy = Math.min(mostBusy, this.loadRatio ?? 0);
    return Math.max(this.leftMs(now), (busy / (1 - busy)) * (this.serviceMs ?? 0), 0);
  }

  /** Whether it had a line that chance alone makes once in some hundred calls at half load: ρ^8, of an M/M/1 queue. */
  jammed(now: number): boolean {
    return this.serviceMs !== undefined && this.leftMs(now) > jam * this.serviceMs;
  }

  private leftMs(now: number): number {
    const busy = Math.min(mostBusy, this.loadRatio ?? 0);
    return this.backlogMs - (1 - busy) * Math.max(0, now - this.toldAt);
  }

  private roll(now: number): void {
    const age = now - this.windowAt;
    // A clock that stepped back begins anew.
    if (age >= 0 && age < tripWindowMs) return;
    // What was known before a silence is better than nothing.
    if (this.least < Number.POSITIVE_INFINITY) this.leastBefore = this.least;
    this.least = Number.POSITIVE_INFINITY;
    this.windowAt = now;
  }
}
