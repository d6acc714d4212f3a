import { Band } from './dispatch-band.js';
import type { DispatchTicket } from './dispatch-ticket.js';

/** Priorities are told apart between these two, as whole numbers: a bounded number of bands. */
const highest = 100;

function bandOf(priority: number | undefined): number {
  // `NaN` too is no priority.
  if (!priority) return 0;
  return Math.max(-highest, Math.min(highest, Math.round(priority)));
}

/** Everything that waits, highest priority first. */
export class DispatchLine {
  /** How many calls wait. */
  queued = 0;
  /** Highest first. */
  private readonly bands: Band[] = [];
  private readonly byPriority = new Map<number, Band>();

  /** @param share - of all time, for each priority, whatever waits above it */
  constructor(private readonly share: number) {}

  /** What waits; milliseconds. */
  get queuedMs(): number {
    let sum = 0;
    for (const band of this.bands) sum += band.queuedMs;
    return sum;
  }

  band(given: number | undefined): Band {
    const priority = bandOf(given);
    let band = this.byPriority.get(priority);
    if (band === undefined) {
      band = new Band(priority, this.share);
      this.byPriority.set(priority, band);
      const at = this.bands.findIndex((other) => other.priority < priority);
      this.bands.splice(at < 0 ? this.bands.length : at, 0, band);
    }
    return band;
  }

  /** What waits above a band; milliseconds. */
  aboveMs(band: Band): number {
    let sum = 0;
    for (const other of this.bands) {
      if (other === band) break;
      sum += other.queuedMs;
    }
    return sum;
  }

  /** How many calls wait there or above. */
  countUpTo(band: Band): number {
    let count = 0;
    for (const other of this.bands) {
      count += other.queued;
      if (other === band) break;
    }
    return count;
  }

  /** Work that is asked for above a band, in milliseconds per millisecond. */
  demandAbove(band: Band, now: number): number {
    let sum = 0;
    for (const other of this.bands) {
      if (other === band) break;
      sum += other.demand(now);
    }
    return sum;
  }

  /** Puts a call in its band. @param flow - with whom it shares */
  add(flow: string, ticket: DispatchTicket): void {
    ticket.band?.add(flow, ticket);
    this.queued++;
  }

  /** Takes out the call whose turn it is. */
  next(now: number): DispatchTicket | undefined {
    if (this.queued === 0) return undefined;
    const band = this.turnOf(now);
    const ticket = band?.next as DispatchTicket | undefined;
    if (band === undefined || ticket === undefined) return undefined;
    band.serve(ticket);
    this.queued--;
    return ticket;
  }

  /** The call whose turn it is, which stays. */
  peek(now: number): DispatchTicket | undefined {
    return this.queued === 0 ? undefined : (this.turnOf(now)?.next as DispatchTicket | undefined);
  }

  /** Takes out any call. */
  remove(ticket: DispatchTicket): void {
    ticket.band?.remove(ticket);
    this.queued--;
  }

  /** The call to be given up first for one that came now: the newest of the lowest that waits there or below. */
  worst(band: Band, now: number): DispatchTicket | undefined {
    for (let at = this.bands.length - 1; at >= 0; at--) {
      const other = this.bands[at] as Band;
      const ticket = other.last as DispatchTicket | undefined;
      // What is due to the lowest is theirs.
      if (ticket !== undefined && (other === band || other.queuedMs > other.dueMs(now, ticket.costMs)))
        return ticket;
      if (other === band) return undefined;
    }
    return undefined;
  }

  private turnOf(now: number): Band | undefined {
    let top: Band | undefined;
    let due: Band | undefined;
    for (const band of this.bands) {
      const { next } = band;
      if (next === undefined) continue;
      if (top === undefined) top = band;
      else if (band.dueMs(now, next.costMs) >= next.costMs) due = band;
    }
    return due ?? top;
  }
}
