import { Attempt } from './attempt.mjs';
import { Copies } from './copies.mjs';

/** @typedef {import('./attempt.mjs').Call} Call */
/** @typedef {import('keelson/core').ServerLoad} ServerLoad */
/** @typedef {import('keelson/core').Outcome} Outcome */
/**
 * @typedef {object} ClientParts
 * @property {import('../engine/world.mjs').World} world
 * @property {import('keelson/balancer').Balancer} balancer
 * @property {import('./fleet.mjs').Fleet} fleet
 * @property {import('./deadlines.mjs').Deadlines} deadlines
 * @property {import('./tally.mjs').Tally} tally
 * @property {import('../engine/sample.mjs').Sample} latencies
 * @property {() => number} wireMs for what was not drawn with the call
 * @property {string | undefined} zone
 * @property {number} crossingMs further time on the wire to a replica of another zone
 * @property {boolean} retries one safe retry
 * @property {import('./copies.mjs').Doubling | undefined} doubling
 */

/** One process that calls: a balancer of its own, and nothing that it shares with others. */
export class Client {
  /** @type {Copies | undefined} */
  #copies;

  /** @param {ClientParts} parts */
  constructor(parts) {
    this.parts = parts;
    this.#copies = parts.doubling && new Copies(this, parts.doubling);
  }

  /** @param {Call} call @param {number} now */
  begin(call, now) {
    const { tally, deadlines } = this.parts;
    if (call.counted) tally.calls++;
    deadlines.add(call);
    const first = this.send(call, undefined, call.thereMs, call.backMs, now);
    if (first === undefined) this.#fail(call);
    else this.#copies?.begun(call, first, now);
  }

  /**
   * @param {Call} call @param {ReadonlySet<string> | undefined} avoid
   * @param {number} thereMs @param {number} backMs @param {number} now
   * @returns {Attempt | undefined} `undefined` when there is nobody to send it to
   */
  send(call, avoid, thereMs, backMs, now) {
    const { balancer, crossingMs, fleet, world, zone } = this.parts;
    const lease = balancer.pick(now, avoid && { avoid });
    if (lease === null) return undefined;
    const replica = fleet.replica(lease.endpoint.id);
    const moreMs = zone === replica.plan.zone ? 0 : crossingMs;
    const attempt = new Attempt(call, lease, replica, thereMs + moreMs, backMs + moreMs, now);
    call.attempts.push(attempt);
    replica.coming(attempt);
    world.after(attempt.thereMs, (at) => replica.arrive(attempt, at));
    return attempt;
  }

  /** Neither copy has run, nor will: it is sent as if it had never been doubled. @param {Call} call @param {number} now */
  repeat(call, now) {
    const { wireMs } = this.parts;
    if (this.send(call, undefined, wireMs(), wireMs(), now) === undefined) this.#fail(call);
  }

  /** A replica is about to run a copy. @param {Attempt} attempt @param {number} now @returns {boolean} whether it may */
  mayStart(attempt, now) {
    return this.#copies === undefined || this.#copies.mayStart(attempt, now);
  }

  /** A copy is the next to start. @param {Attempt} attempt */
  isNext(attempt) {
    this.#copies?.isNext(attempt);
  }

  /** @param {Attempt} attempt @param {Outcome} outcome @param {ServerLoad | undefined} load @param {number} now */
  answered(attempt, outcome, load, now) {
    if (attempt.settled) return;
    attempt.settled = true;
    attempt.lease.release(outcome, now, load && { load });
    this.#copies?.answered(attempt, load, now);
    const { call } = attempt;
    if (call.done || attempt.out) return;
    if (outcome === 'success') this.#succeed(call, now);
    else if (outcome === 'failure') {
      this.#copies?.failed(attempt);
      this.#lose(attempt, now);
    }
  }

  /** @param {Call} call @param {number} now */
  expired(call, now) {
    if (call.done) return;
    call.done = true;
    for (const attempt of call.attempts) {
      if (attempt.settled) continue;
      attempt.settled = true;
      attempt.lease.release('failure', now, { timedOut: true });
      this.#copies?.beaten(attempt);
    }
    if (!call.counted) return;
    const { deadlines, latencies, tally } = this.parts;
    tally.timeouts++;
    tally.errors++;
    latencies.add(deadlines.ms);
  }

  /** @param {Call} call @param {number} now */
  #succeed(call, now) {
    call.done = true;
    for (const attempt of call.attempts) if (!attempt.settled && !attempt.out) this.#copies?.beaten(attempt);
    this.#copies?.succeeded(now - call.at, now);
    if (call.counted) this.parts.latencies.add(now - call.at);
  }

  /** @param {Attempt} attempt @param {number} now */
  #lose(attempt, now) {
    const { call } = attempt;
    const { retries, tally, wireMs } = this.parts;
    if (call.counted && !call.retried) tally.lost++;
    if (call.pending) return;
    if (!retries || call.retried) {
      this.#fail(call);
      return;
    }
    call.retried = true;
    if (call.counted) tally.retries++;
    const avoid = new Set([attempt.lease.endpoint.id]);
    if (this.send(call, avoid, wireMs(), wireMs(), now) === undefined) this.#fail(call);
  }

  /** @param {Call} call */
  #fail(call) {
    call.done = true;
    if (call.counted) this.parts.tally.errors++;
  }
}
