import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import { wheelOf } from '../core/timer-wheel.js';
import { Outage } from './outage.js';
import type { Evaluate } from './redis-client.js';
import { type Asker, Trip, type TripCounter } from './trip.js';

/** Told when decisions begin or end to be made without Redis. */
export type Report = (away: boolean, key: string | undefined, error: unknown) => void;

/** What a {@link Link} is made of. */
export interface LinkOptions {
  readonly evaluate: Evaluate;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: Report;
}

/**
 * A client may keep questions that it cannot send, and send them all when it finds Redis again; or it may have lost
 * them. With so many unanswered it gets another only now and then.
 */
const mostOwed = 8;
const rarelyMs = 60_000;

/**
 * The way to Redis that all keys share. One key may fail alone, because its node of a cluster is down; when two questions
 * in a row fail, all keys do without Redis, and one at a time tries whether it is back.
 */
export class Link implements TripCounter {
  /** How many questions were sent. */
  trips = 0;
  private owed = 0;
  private triedAt = Number.NaN;
  private closed = false;
  private readonly outage: Outage;

  constructor(private readonly by: LinkOptions) {
    this.outage = new Outage(1, by.random);
  }

  /** Whether nobody is to wait for it. */
  get isAway(): boolean {
    return this.closed || this.outage.lasts;
  }

  /** How long until it is tried again. */
  remainingMs(now: number): number {
    return this.outage.remainingMs(now);
  }

  /** Whether the caller is to try; nobody else then does for a while. */
  mayTry(now: number): boolean {
    const lately = now >= this.triedAt && now - this.triedAt < rarelyMs;
    if (this.closed || (lately && this.owed >= mostOwed)) return false;
    if (this.outage.lasts) {
      if (this.outage.remainingMs(now) > 0) return false;
      this.outage.postpone(now);
    }
    this.triedAt = now;
    return true;
  }

  /** Asks. The answer never comes before this returns. */
  send(key: string, args: readonly string[], asker: Asker): Trip {
    const { clock, timeoutMs } = this.by;
    const now = clock.now();
    const trip = new Trip(now, timeoutMs, clock, this, asker);
    this.trips++;
    wheelOf(clock).add(trip, now);
    this.by.evaluate(key, args).then(
      (reply) => trip.answer(reply),
      (error: unknown) => trip.fail(error),
    );
    return trip;
  }

  reached(): void {
    if (this.outage.ended()) this.by.report(false, undefined, undefined);
  }

  missed(error: unknown): void {
    if (this.outage.failed(this.by.clock.now())) this.by.report(true, undefined, error);
  }

  owe(change: 1 | -1): void {
    this.owed += change;
  }

  /** Nothing is sent any more but what gives back. */
  close(): void {
    this.closed = true;
  }
}
