import { exponential, lognormal, streams } from '../engine/streams.mjs';
import { World } from '../engine/world.mjs';

/** @typedef {import('keelson/core').Gate} Gate */
/** @typedef {import('keelson/core').Outcome} Outcome */
/** @typedef {import('keelson/core').Feedback} Feedback */

/**
 * What is drawn of a call before anybody decides on it, so that all breakers meet the same.
 *
 * @typedef {object} Fate
 * @property {number} luck uniform in [0, 1)
 * @property {number} workMs how long a good answer takes
 */

/** @typedef {{ readonly outcome: Outcome, readonly tookMs: number, readonly feedback?: Feedback }} Answer */
/** How a callee answers a call that reaches it. @typedef {(now: number, fate: Fate) => Answer} Callee */

/**
 * @typedef {object} Play
 * @property {readonly Gate[]} gates one for each client; calls come from all of them alike
 * @property {number} perSecond of all clients together
 * @property {number} seconds
 * @property {Callee} callee
 * @property {number} seed
 * @property {boolean} [even] calls come at even intervals instead of at random
 * @property {(now: number) => number} [demand] of that rate, 0 to 1
 */

/** What happened, by the time at which a call was made. */
export class Record {
  static binMs = 50;

  /** @param {number} seconds */
  constructor(seconds) {
    const bins = Math.ceil((seconds * 1000) / Record.binMs) + 1;
    this.offered = new Float64Array(bins);
    this.sent = new Float64Array(bins);
    this.succeeded = new Float64Array(bins);
    this.endMs = seconds * 1000;
  }

  /** @param {Float64Array} to @param {number} bin */
  static add(to, bin) {
    to[bin] = (to[bin] ?? 0) + 1;
  }

  /** @param {Float64Array} of @param {number} fromMs @param {number} toMs */
  static sum(of, fromMs, toMs) {
    let total = 0;
    const to = Math.min(of.length, Math.round(toMs / Record.binMs));
    for (let bin = Math.max(0, Math.round(fromMs / Record.binMs)); bin < to; bin++) total += of[bin] ?? 0;
    return total;
  }

  /** Calls that were sent and did not succeed. @param {number} fromMs @param {number} toMs */
  wasted(fromMs, toMs) {
    return Record.sum(this.sent, fromMs, toMs) - Record.sum(this.succeeded, fromMs, toMs);
  }

  /**
   * How long it takes from a moment on until a second begins in which such a share of the calls is served.
   *
   * @param {number} fromMs @param {number} share
   */
  recoveryMs(fromMs, share) {
    for (let at = fromMs; at + 1000 <= this.endMs; at += Record.binMs) {
      const offered = Record.sum(this.offered, at, at + 1000);
      if (offered > 0 && Record.sum(this.succeeded, at, at + 1000) >= share * offered) return at - fromMs;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** The most that was sent within a second. @param {number} fromMs @param {number} toMs */
  peakPerSecond(fromMs, toMs) {
    let peak = 0;
    for (let at = fromMs; at + 1000 <= toMs; at += Record.binMs)
      peak = Math.max(peak, Record.sum(this.sent, at, at + 1000));
    return peak;
  }
}

const workMs = 10;

/** @param {Play} play @returns {Record} */
export function simulate({ gates, perSecond, seconds, callee, seed, even = false, demand }) {
  const world = new World();
  const stream = streams(seed);
  const arrivals = stream('arrivals');
  const luck = stream('luck');
  const work = stream('work');
  const who = stream('who');
  const thinning = stream('thinning');
  const record = new Record(seconds);
  const endMs = seconds * 1000;
  const gapMs = 1000 / perSecond;

  /** @param {number} now */
  const call = (now) => {
    world.at(now + (even ? gapMs : exponential(arrivals, gapMs)), call);
    if (now >= endMs) return;
    const fate = { luck: luck(), workMs: lognormal(work, workMs, 0.5) };
    const gate = /** @type {Gate} */ (gates[Math.floor(who() * gates.length)]);
    if (thinning() >= (demand?.(now) ?? 1)) return;
    const bin = Math.floor(now / Record.binMs);
    Record.add(record.offered, bin);
    const permit = gate.tryAcquire(now);
    if (permit === null) return;
    Record.add(record.sent, bin);
    const { outcome, tookMs, feedback } = callee(now, fate);
    if (outcome === 'success') Record.add(record.succeeded, bin);
    world.after(tookMs, (at) => permit.release(outcome, at, feedback));
  };
  world.at(even ? 0 : exponential(arrivals, gapMs), call);
  // What is under way at the end may take as long as it takes, but no new calls come.
  world.run(endMs);
  return record;
}
