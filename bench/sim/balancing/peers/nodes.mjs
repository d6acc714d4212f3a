/** @typedef {import('keelson/core').Endpoint} Endpoint */
/** @typedef {import('keelson/core').Outcome} Outcome */
/** @typedef {import('keelson/core').Feedback} Feedback */
/** @typedef {import('keelson/balancer').Balancer} Balancer */
/** @typedef {import('../../engine/streams.mjs').Random} Random */

/** What a rule keeps of one endpoint; rules that keep more extend it. */
export class Node {
  pending = 0;
  pickedAt = Number.NEGATIVE_INFINITY;

  /** @param {Endpoint} endpoint */
  constructor(endpoint) {
    this.endpoint = endpoint;
  }
  /** A call goes there. @param {number} _now */
  started(_now) {}
  /**
   * A call is over. A copy that was cancelled (`ignored`) says nothing: none of the peers knows of such copies.
   *
   * @param {Outcome} _outcome @param {number} _startedAt @param {number} _now @param {Feedback | undefined} _feedback
   */
  ended(_outcome, _startedAt, _now, _feedback) {}
}

/**
 * What all re-implemented rules share: nodes that survive updates, and leases that tell them how a call ended, once.
 *
 * @template {Node} N
 */
export class Nodes {
  /** @type {N[]} */
  list = [];
  /** @type {Map<string, N>} */
  #known = new Map();

  /** @param {(endpoint: Endpoint) => N} make */
  constructor(make) {
    this.make = make;
  }

  /** @param {readonly Endpoint[]} endpoints */
  update(endpoints) {
    const before = this.#known;
    this.#known = new Map();
    this.list = endpoints.map((endpoint) => {
      const node = before.get(endpoint.id) ?? this.make(endpoint);
      this.#known.set(endpoint.id, node);
      return node;
    });
  }

  /** @param {string} id */
  get(id) {
    return this.#known.get(id);
  }

  /** @param {N} node @param {number} now */
  lease(node, now) {
    node.pending++;
    node.pickedAt = now;
    node.started(now);
    return new NodeLease(node, now);
  }
}

class NodeLease {
  reason = 'peer';
  #open = true;
  /** @param {Node} node @param {number} startedAt */
  constructor(node, startedAt) {
    this.node = node;
    this.endpoint = node.endpoint;
    this.startedAt = startedAt;
  }
  observe() {
    // All of them look at the end of a call only.
  }
  /** @param {Outcome} outcome @param {number} now @param {Feedback} [feedback] */
  release(outcome, now, feedback) {
    if (!this.#open) return;
    this.#open = false;
    this.node.pending--;
    this.node.ended(outcome, this.startedAt, now, feedback);
  }
}

/** @param {Random} random @param {number} below */
export const whole = (random, below) => Math.floor(random() * below);

/** How often a draw is repeated that met one to be avoided; then it may be anybody. */
const redraws = 8;

/**
 * @template {Node} N
 * @param {readonly N[]} list @param {Random} random @param {ReadonlySet<string> | undefined} avoid @param {N} [other] not this one
 * @returns {N}
 */
export function drawn(list, random, avoid, other) {
  let node = /** @type {N} */ (list[whole(random, list.length)]);
  for (let left = redraws; left > 0 && (node === other || avoid?.has(node.endpoint.id)); left--)
    node = /** @type {N} */ (list[whole(random, list.length)]);
  return node;
}

/** @typedef {Balancer & { take(id: string, now: number): NodeLease | null }} Choice a balancer that can also be told whom to pick */

/**
 * Two different nodes at random, the better of them; what most of the peers are.
 *
 * @template {Node} N
 * @param {Random} random
 * @param {(endpoint: Endpoint) => N} make
 * @param {(first: N, second: N, now: number) => N} better
 * @returns {Choice}
 */
export function ofTwo(random, make, better) {
  const nodes = new Nodes(make);
  return {
    update: (endpoints) => nodes.update(endpoints),
    take: (id, now) => {
      const node = nodes.get(id);
      return node === undefined ? null : nodes.lease(node, now);
    },
    pick: (now, hint) => {
      const { list } = nodes;
      if (list.length === 0) return null;
      const first = drawn(list, random, hint?.avoid);
      const second = list.length === 1 ? first : drawn(list, random, hint?.avoid, first);
      return nodes.lease(first === second ? first : better(first, second, now), now);
    },
  };
}

/**
 * All of them, the best; the first of equals from a random place.
 *
 * @template {Node} N
 * @param {Random} random
 * @param {(endpoint: Endpoint) => N} make
 * @param {(node: N, now: number) => number} cost
 * @returns {Balancer}
 */
export function ofAll(random, make, cost) {
  const nodes = new Nodes(make);
  return {
    update: (endpoints) => nodes.update(endpoints),
    pick: (now, hint) => {
      const { list } = nodes;
      /** @type {N | undefined} */
      let best;
      let least = Number.POSITIVE_INFINITY;
      let at = whole(random, list.length);
      for (let left = list.length; left > 0; left--) {
        const node = /** @type {N} */ (list[at]);
        at = at + 1 === list.length ? 0 : at + 1;
        if (hint?.avoid?.has(node.endpoint.id) && list.length > hint.avoid.size) continue;
        const dear = cost(node, now);
        if (best !== undefined && dear >= least) continue;
        best = node;
        least = dear;
      }
      return best === undefined ? null : nodes.lease(best, now);
    },
  };
}
