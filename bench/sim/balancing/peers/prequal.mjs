import { drawn, Node, Nodes } from './nodes.mjs';

const probesPerQuery = 3;
const poolSize = 16;
const maxAgeMs = 1000;
const removePerQuery = 1;
/** How much faster probes come in than they are used up. */
const surplus = 1;
/** Latencies that a server remembers for one number of calls in flight. */
const remembered = 16;

/** @typedef {{ id: string, inflight: number, latencyMs: number, at: number, uses: number }} Probe */

/** What one server answers to probes: its calls in flight, and how long calls took lately that met as many. */
class Gauge {
  /** @type {Map<number, number[]>} */
  #latencies = new Map();
  /** @type {WeakMap<import('../attempt.mjs').Attempt, { at: number, inflight: number }>} */

  /** @param {number} inflight @param {number} latencyMs */
  learn(inflight, latencyMs) {
    let recent = this.#latencies.get(inflight);
    if (recent === undefined) {
      recent = [];
      this.#latencies.set(inflight, recent);
    }
    recent.push(latencyMs);
    if (recent.length > remembered) recent.shift();
  }

  /** The median for so many calls in flight, or for the next number that is known. @param {number} inflight */
  latencyMs(inflight) {
    for (let away = 0; away < 64; away++) {
      const recent = this.#latencies.get(inflight - away) ?? this.#latencies.get(inflight + away);
      if (recent !== undefined) return [...recent].sort((a, b) => a - b)[recent.length >> 1] ?? 0;
    }
    return 0;
  }
}

/** @type {WeakMap<import('../replica.mjs').Replica, Gauge>} */
const gauges = new WeakMap();

/** The gauge of a replica, told of each of its calls. @param {import('../replica.mjs').Replica} replica */
function gaugeOf(replica) {
  let gauge = gauges.get(replica);
  if (gauge === undefined) {
    gauge = new Gauge();
    gauges.set(replica, gauge);
    const to = gauge;
    replica.onAnswer.push((attempt, now) => to.learn(attempt.met, now - attempt.cameAt));
  }
  return gauge;
}

/**
 * Three probes for each call, a pool of sixteen answers, and of these the one that is fastest among those that are not
 * hot, or has the fewest calls in flight if all are.
 *
 * Source: B. Wydrowski and others, "Load is not what you should balance: Introducing Prequal", NSDI 2024, section 4: probe
 * pool, reuse budget, removal of the oldest and the worst in turn, and the hot-cold rule. Probes are answered beside the
 * queue, at once.
 *
 * @param {string} name
 * @param {number} quantile of the calls in flight above which one is hot; 0: fewest in flight always
 * @returns {import('../cell.mjs').Rule}
 */
const prequal = (name, quantile) => ({
  name,
  kind: 'peer',
  make: (streams, _client, fleet) => {
    const random = streams('pick');
    const nodes = new Nodes((endpoint) => new Node(endpoint));
    /** @type {Probe[]} */
    let pool = [];
    let oldestNext = true;

    /** @param {number} now */
    const probe = (now) => {
      for (let i = 0; i < probesPerQuery; i++) {
        const { id } = drawn(nodes.list, random, undefined).endpoint;
        fleet.probe(
          id,
          (replica) => {
            const { inflight } = replica;
            return { inflight, latencyMs: quantile === 0 ? 0 : gaugeOf(replica).latencyMs(inflight) };
          },
          (answer, at) => {
            if (nodes.get(id) === undefined) return;
            pool.push({ id, ...answer, at, uses: 0 });
            if (pool.length > poolSize) pool.shift();
          },
        );
      }
      return now;
    };
    /** How often one answer may be used: the paper's b. */
    const maxUses = () => {
      const spare =
        (1 - poolSize / Math.max(poolSize + 1, nodes.list.length)) * probesPerQuery - removePerQuery;
      return spare <= 0 ? Number.POSITIVE_INFINITY : Math.max(1, (1 + surplus) / spare);
    };
    const hotAbove = () => {
      const sorted = pool.map(({ inflight }) => inflight).sort((a, b) => a - b);
      return sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))] ?? 0;
    };
    /** @param {Probe} one @param {Probe} other @param {number} bar whether `one` is better */
    const better = (one, other, bar) => {
      const [hot, otherHot] = [quantile === 0 || one.inflight > bar, quantile === 0 || other.inflight > bar];
      if (hot !== otherHot) return otherHot;
      return hot ? one.inflight < other.inflight : one.latencyMs < other.latencyMs;
    };
    const remove = () => {
      if (pool.length === 0) return;
      oldestNext = !oldestNext;
      if (oldestNext) {
        pool.shift();
        return;
      }
      const bar = hotAbove();
      let worst = 0;
      for (let i = 1; i < pool.length; i++)
        if (better(/** @type {Probe} */ (pool[worst]), /** @type {Probe} */ (pool[i]), bar)) worst = i;
      pool.splice(worst, 1);
    };

    return {
      update: (endpoints) => {
        nodes.update(endpoints);
        pool = pool.filter(({ id }) => nodes.get(id) !== undefined);
      },
      pick: (now, hint) => {
        if (nodes.list.length === 0) return null;
        pool = pool.filter(({ at }) => now - at <= maxAgeMs);
        probe(now);
        const bar = hotAbove();
        /** @type {Probe | undefined} */
        let best;
        for (const one of pool) {
          if (hint?.avoid?.has(one.id)) continue;
          if (best === undefined || better(one, best, bar)) best = one;
        }
        if (best === undefined || pool.length < 2)
          return nodes.lease(drawn(nodes.list, random, hint?.avoid), now);
        const chosen = best;
        chosen.inflight++;
        // A part of a use is had by chance.
        const limit = maxUses();
        const allowed = Math.floor(limit) + (random() < limit % 1 ? 1 : 0);
        if (++chosen.uses >= allowed) pool.splice(pool.indexOf(chosen), 1);
        for (let i = 0; i < removePerQuery; i++) remove();
        return nodes.lease(/** @type {Node} */ (nodes.get(chosen.id)), now);
      },
    };
  },
});

export const prequal84 = prequal('Prequal 0.84', 0.84);
export const prequalInflight = prequal('Prequal, RIF only', 0);
