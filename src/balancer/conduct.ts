import type { Endpoint } from '../core/endpoint.js';
import { RollingCounter } from '../stats/rolling-counter.js';
import type { Witness } from './balancer.js';

const buckets = 10;
const requests = 0;
const failures = 1;

/** Time in parts that are short against a bucket, for all tallies of one balancer. */
export class Slices {
  private readonly lengthMs: number;
  private beganAt = Number.NaN;
  private count = 0;

  constructor(windowMs: number) {
    this.lengthMs = windowMs / buckets / 4;
  }
  /** The number of the part that goes on. */
  at(now: number): number {
    const passedMs = now - this.beganAt;
    if (!(passedMs >= 0 && passedMs < this.lengthMs)) {
      this.beganAt = now;
      this.count++;
    }
    return this.count;
  }
}

/**
 * Requests and failures over a sliding window. Successes, which are nearly all, are only counted up, and booked together when
 * somebody looks or the slice is over.
 */
export class Tally {
  private readonly counter: RollingCounter;
  /** Successes that are not booked yet, in which slice, and when the first of them was. */
  private unbooked = 0;
  private slice = 0;
  private since = Number.NaN;

  constructor(windowMs: number) {
    this.counter = new RollingCounter(windowMs, buckets, 2);
  }
  succeeded(slice: number, now: number): void {
    if (slice !== this.slice) {
      this.book();
      this.slice = slice;
      this.since = now;
    }
    this.unbooked++;
  }
  failed(now: number): void {
    this.book();
    this.counter.add(now, requests);
    this.counter.add(now, failures);
  }
  requests(now: number): number {
    this.book();
    return this.counter.total(now, requests);
  }
  failures(now: number): number {
    return this.counter.total(now, failures);
  }
  reset(): void {
    this.unbooked = 0;
    this.counter.reset();
  }

  private book(): void {
    if (this.unbooked === 0) return;
    this.counter.add(this.since, requests, this.unbooked);
    this.unbooked = 0;
  }
}

/** How one endpoint has behaved, and whether it is out for it. */
export class Conduct<E extends Endpoint> {
  /** Leases that are not released. */
  inflight = 0;
  /** Failures since the last answer that was none. */
  run = 0;
  /** Whether it is ejected, or fails and could not be. */
  unwell = false;
  /** Times it was ejected, less those lived down. */
  strikes = 0;
  /** When the next call may try it; `undefined` while it is in. */
  ejectedUntil: number | undefined = undefined;
  /** When its last sentence ends. */
  dueAt = Number.NEGATIVE_INFINITY;
  /** When it came back. */
  returnedAt = Number.NEGATIVE_INFINITY;
  /** Counts when it was ejected and when it came back: what began before says nothing of it as it is now. */
  term = 0;
  /** Who hears of them besides: an ejection around this one. */
  outer: Witness | undefined = undefined;
  /** The update that last named it. */
  seenIn = 0;
  // Made at the first answer: a large set is mostly endpoints that this client never called.
  private made: Tally | undefined = undefined;

  constructor(
    public endpoint: E,
    private readonly windowMs: number,
  ) {}

  /** Its calls of the last window. */
  get tally(): Tally {
    return this.made ?? this.make();
  }

  private make(): Tally {
    this.made = new Tally(this.windowMs);
    return this.made;
  }
}

/** What counts as evidence against one endpoint. */
export interface Thresholds {
  readonly consecutiveFailures: number;
  readonly failureRatio: number;
  readonly minRequests: number;
}

/** A run this unlikely is no accident. */
const accident = 1e-4;
/** Standard deviations that chance does not reach, however often one looks. */
const deviations = 4;

/**
 * Whether an endpoint that just failed is worse than the others, and by what evidence. Both rules ask how likely the
 * same record would be for one of the others: when all fail alike, the fault is not the endpoint's, and nobody is
 * ejected.
 *
 * @param all - calls to all endpoints, this one included
 */
export function charge(
  conduct: Conduct<Endpoint>,
  all: Tally,
  thresholds: Thresholds,
  now: number,
): 'run' | 'ratio' | undefined {
  const own = conduct.tally.requests(now);
  const failed = conduct.tally.failures(now);
  const others = Math.max(0, all.requests(now) - own);
  const othersFailed = Math.max(0, Math.min(others, all.failures(now) - failed));
  // Laplace's rule of succession: without any calls to others, one half.
  const usual = (othersFailed + 1) / (others + 2);
  const { consecutiveFailures, failureRatio, minRequests } = thresholds;
  if (conduct.run >= Math.max(consecutiveFailures, Math.log(accident) / Math.log(usual))) return 'run';
  if (own < minRequests || failed < failureRatio * own) return undefined;
  const expected = own * usual;
  return failed > expected + deviations * Math.sqrt(expected * (1 - usual)) ? 'ratio' : undefined;
}
