import { Sample } from '../engine/sample.mjs';

/** How long a bin of the time series is; milliseconds. */
export const binMs = 20;

/** What became of the calls that arrived in one phase. */
export class Tally {
  offered = 0;
  refused = 0;
  /** Turned away by their own clients. */
  withheld = 0;
  answered = 0;
  /** Answered before the client gave up. */
  good = 0;
  offeredWeight = 0;
  highOffered = 0;
  highGood = 0;
  /** Of those that came in the second half of the phase. */
  lateOffered = 0;
  lateGood = 0;
  /** From the client's sending to its answer, of all that were let in. */
  latency = new Sample();
  /** @type {Map<string, { offered: number, good: number }>} */
  byKey = new Map();

  /** @param {string} key */
  of(key) {
    const counts = this.byKey.get(key) ?? { offered: 0, good: 0 };
    this.byKey.set(key, counts);
    return counts;
  }
}

/** @typedef {import('./call.mjs').Ledger} Ledger */

/** What a run counts: by phase of arrival, and the good work by time of completion. @implements {Ledger} */
export class Book {
  /** Good work finished in each bin; milliseconds. */
  bins;
  /** @type {Tally[]} */
  tallies;
  /** @type {readonly { end: number, middle: number }[]} */
  #spans;

  /** @param {readonly { ms: number }[]} phases */
  constructor(phases) {
    let end = 0;
    this.#spans = phases.map(({ ms }) => {
      end += ms;
      return { end, middle: end - ms / 2 };
    });
    this.tallies = phases.map(() => new Tally());
    this.bins = new Float64Array(Math.ceil(end / binMs) + 1);
  }

  /** @param {number} at */
  #phase(at) {
    let phase = 0;
    while (phase < this.#spans.length - 1 && at >= (this.#spans[phase]?.end ?? 0)) phase++;
    return phase;
  }
  /** @param {number} at @returns {Tally} */
  #at(at) {
    return /** @type {Tally} */ (this.tallies[this.#phase(at)]);
  }
  /** @param {number} at */
  #isLate(at) {
    return at >= (this.#spans[this.#phase(at)]?.middle ?? 0);
  }

  /** @param {import('./call.mjs').Call} call */
  offered(call) {
    const tally = this.#at(call.arrivedAt);
    tally.offered++;
    tally.offeredWeight += call.weight;
    tally.of(call.key).offered++;
    if (call.priority > 0) tally.highOffered++;
    if (this.#isLate(call.arrivedAt)) tally.lateOffered++;
  }

  /** @param {import('./call.mjs').Call} call */
  withheld(call) {
    this.#at(call.arrivedAt).withheld++;
  }

  /** @param {import('./call.mjs').Call} call */
  refused(call) {
    this.#at(call.arrivedAt).refused++;
  }

  /** @param {import('./call.mjs').Call} call @param {number} now */
  answered(call, now) {
    const tally = this.#at(call.arrivedAt);
    tally.answered++;
    tally.latency.add(now - call.arrivedAt);
    if (now <= call.deadlineAt) {
      tally.good++;
      tally.of(call.key).good++;
      if (call.priority > 0) tally.highGood++;
      if (this.#isLate(call.arrivedAt)) tally.lateGood++;
      const bin = Math.floor(now / binMs);
      if (bin < this.bins.length) this.bins[bin] = (this.bins[bin] ?? 0) + call.weight;
    }
  }

  /** Good work finished between two times, per ms. @param {number} from @param {number} until */
  goodput(from, until) {
    let sum = 0;
    for (let bin = Math.floor(from / binMs); bin < Math.floor(until / binMs); bin++)
      sum += this.bins[bin] ?? 0;
    return sum / (until - from);
  }
}

/**
 * How long after `from` the good work is at a goal for good: over the second that follows, and over all that is left of
 * the phase. One dip later on is no second start.
 *
 * @param {Book} book @param {number} from @param {number} until @param {number} goal @returns {number} `Infinity` for never
 */
export function timeTo(book, from, until, goal) {
  const lookMs = Math.min(1000, (until - from) / 4);
  for (let at = from; at + lookMs <= until; at += binMs)
    if (book.goodput(at, at + lookMs) >= goal && book.goodput(at, until) >= goal) return at - from;
  return Number.POSITIVE_INFINITY;
}
