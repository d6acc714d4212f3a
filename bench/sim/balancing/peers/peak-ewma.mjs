import { Node, ofTwo } from './nodes.mjs';

const tauMs = 10_000;
/** Nanoseconds there: `Long.MaxValue >> 16`. */
const finaglePenaltyMs = 2 ** 47 / 1e6;

class PeakNode extends Node {
  cost = 0;
  stamp = 0;

  /** @param {number} rtt @param {number} now */
  take(rtt, now) {
    const w = Math.exp(-Math.max(0, now - this.stamp) / tauMs);
    this.cost = rtt > this.cost ? rtt : this.cost * w + rtt * (1 - w);
    this.stamp = now;
  }
  /** @override @type {Node['ended']} */
  ended(outcome, startedAt, now) {
    if (outcome !== 'ignored' && outcome !== 'unsent') this.take(now - startedAt, now);
  }
}

class FinagleNode extends PeakNode {
  /** @param {number} now */
  load(now) {
    this.take(0, now);
    return this.cost === 0 && this.pending > 0
      ? finaglePenaltyMs + this.pending
      : this.cost * (this.pending + 1);
  }
}

/**
 * Two choices by a latency that jumps up and decays slowly, also when it is looked at.
 *
 * Source: Finagle, `loadbalancer/PeakEwma.scala` and `loadbalancer/p2c`, commit 1e8497e.
 *
 * @type {import('../cell.mjs').Rule}
 */
export const finagle = {
  name: 'Finagle peak EWMA',
  kind: 'peer',
  make: (streams) =>
    ofTwo(
      streams('pick'),
      (endpoint) => new FinagleNode(endpoint),
      (first, second, now) => (first.load(now) <= second.load(now) ? first : second),
    ),
};

/** Of linkerd2-proxy, where tower's is 1 s. */
const defaultRttMs = 30;
const penaltyMs = 5000;

class BiasedNode extends PeakNode {
  /** @override */
  cost = defaultRttMs;
  penalty = 0;
  penalizedAt = 0;

  /** @param {number} now */
  load(now) {
    this.take(0, now);
    this.penalty *= Math.exp(-Math.max(0, now - this.penalizedAt) / tauMs);
    this.penalizedAt = now;
    return Math.max(this.cost * (this.pending + 1), this.penalty);
  }
  /** @override @type {Node['ended']} */
  ended(outcome, startedAt, now) {
    super.ended(outcome, startedAt, now, undefined);
    if (outcome !== 'failure' && outcome !== 'overload') return;
    this.penalty = Math.max(this.penalty, penaltyMs);
    this.penalizedAt = now;
  }
}

/**
 * The same with a first guess of 30 ms, and failures that count as 5 s.
 *
 * Source: tower, `load/peak_ewma.rs`, commit 0032923; linkerd2-proxy, `load-biaser`, commit 02d9f9d, which is off unless it is
 * asked for. A call that is cancelled counts with the time it had there; here it does not, as with all peers.
 *
 * @type {import('../cell.mjs').Rule}
 */
export const linkerd = {
  name: 'linkerd peak EWMA + biaser',
  kind: 'peer',
  make: (streams) =>
    ofTwo(
      streams('pick'),
      (endpoint) => new BiasedNode(endpoint),
      (first, second, now) => (first.load(now) <= second.load(now) ? first : second),
    ),
};
