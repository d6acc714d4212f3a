import { Node, ofTwo } from './nodes.mjs';

/** @typedef {import('keelson/core').Endpoint} Endpoint */

const tauNs = 600e6;
const forcePickMs = 3000;
const unknownNs = 10_000e6;

/** Nanoseconds and whole numbers, as there. */
class KratosNode extends Node {
  lag = 0;
  success = 1000;
  stamp = 0;
  predicted = 0;
  predictedAt = 0;
  /** Starts of the calls under way. @type {number[]} */
  inflights = [];

  /** @param {Endpoint} endpoint @param {KratosLoad} rule */
  constructor(endpoint, rule) {
    super(endpoint);
    this.rule = rule;
  }

  /** @param {number} now */
  weight(now) {
    return (this.success * 1e9) / this.rule.load(this, now * 1e6, this.inflights.length + 1);
  }

  /** @override @param {number} now */
  started(now) {
    this.inflights.push(now * 1e6);
  }

  /** @override @type {Node['ended']} */
  ended(outcome, startedAt, nowMs, feedback) {
    const start = startedAt * 1e6;
    const now = nowMs * 1e6;
    this.inflights.splice(this.inflights.indexOf(start), 1);
    if (outcome === 'ignored' || outcome === 'unsent') return;
    const w = this.lag === 0 ? 0 : Math.exp(-Math.max(0, now - this.stamp) / tauNs);
    this.stamp = now;
    this.lag = Math.trunc(this.lag * w + (now - start) * (1 - w));
    // The arguments of `errors.Is` are the wrong way round there: a deadline that is wrapped counts as a success.
    const failed = outcome === 'failure' && feedback?.timedOut !== true;
    this.success = Math.trunc(this.success * w + (failed ? 0 : 1000) * (1 - w));
  }

  /** @param {number} now ns @param {number} intervalNs @param {number} quorum how many have to be late */
  predict(now, intervalNs, quorum) {
    if (now - this.predictedAt <= intervalNs) return this.predicted;
    this.predictedAt = now;
    let late = 0;
    let sum = 0;
    for (const start of this.inflights) {
      if (now - start <= this.lag) continue;
      late++;
      sum += now - start;
    }
    this.predicted = late >= quorum ? Math.trunc(sum / late) : 0;
    return this.predicted;
  }
}

/** @typedef {{ load(node: KratosNode, now: number, inflight: number): number }} KratosLoad nanoseconds; `inflight` counts from 1 */

/** @type {KratosLoad} */
const second = {
  load(node, now, inflight) {
    const interval = Math.min(200e6, Math.max(5e6, node.lag / 5));
    // `count > len/2 + 1` there.
    const predicted = node.predict(now, interval, Math.floor(node.inflights.length / 2) + 2);
    return (node.lag === 0 ? unknownNs : Math.max(node.lag, predicted)) * inflight;
  },
};

/** @type {KratosLoad} */
const third = {
  load(node, now, inflight) {
    const predicted = node.predict(now, 5e6, Math.floor(node.inflights.length / 2) + 1);
    return (node.lag === 0 ? 1e5 : Math.floor(Math.sqrt(Math.max(node.lag, predicted) + 5e6))) * inflight;
  },
};

/** What is computed for a node stays as it is for so long in v3: a burst within it sees none of its own calls. */
const cachedMs = 5;

class CachedNode extends KratosNode {
  #weight = 0;
  #weighedAt = Number.NEGATIVE_INFINITY;

  /** @override @param {number} now */
  weight(now) {
    if (now - this.#weighedAt < cachedMs) return this.#weight;
    this.#weighedAt = now;
    this.#weight = super.weight(now);
    return this.#weight;
  }
}

/** The heavier of two, or the lighter if it was not picked for long. @param {KratosNode} first @param {KratosNode} other @param {number} now */
function heavier(first, other, now) {
  const wins = other.weight(now) > first.weight(now);
  const [winner, loser] = wins ? [other, first] : [first, other];
  return now - loser.pickedAt > forcePickMs ? loser : winner;
}

/** @param {import('../../engine/streams.mjs').Random} random */
export const kratosChoice = (random) =>
  ofTwo(random, (endpoint) => new KratosNode(endpoint, second), heavier);

/** Source: kratos, `selector/p2c` and `selector/node/ewma`, commit 017c018. @type {import('../cell.mjs').Rule} */
export const kratosV2 = {
  name: 'kratos v2',
  kind: 'peer',
  make: (streams) => kratosChoice(streams('pick')),
};

/** Source: kratos v3, `selector/node/ewma`, commit 668db92, the cache of 5 ms included. @type {import('../cell.mjs').Rule} */
export const kratosV3 = {
  name: 'kratos v3',
  kind: 'peer',
  make: (streams) => ofTwo(streams('pick'), (endpoint) => new CachedNode(endpoint, third), heavier),
};

/** The same without the cache, to compare with what keelson ships. @type {import('../cell.mjs').Rule} */
export const kratosV3Uncached = {
  name: 'kratos v3, no cache',
  lookOnly: true,
  kind: 'peer',
  make: (streams) => ofTwo(streams('pick'), (endpoint) => new KratosNode(endpoint, third), heavier),
};
