import { Node, ofAll } from './peers/nodes.mjs';

/** @typedef {import('./replica.mjs').Replica} Replica */
/** @typedef {import('./fleet.mjs').Fleet} Fleet */

class SeeingNode extends Node {
  /** @param {import('keelson/core').Endpoint} endpoint @param {Replica} replica */
  constructor(endpoint, replica) {
    super(endpoint);
    this.replica = replica;
  }
}

/**
 * Joins the shortest queue by what is really so at the replicas at this moment, as nobody can; calls that
 * are on the wire count as if they had come.
 *
 * @param {(replica: Replica, now: number) => number} cost
 * @returns {(streams: (name: string) => () => number, client: number, fleet: Fleet) => import('keelson/balancer').Balancer}
 */
const knowing = (cost) => (streams, _client, fleet) =>
  ofAll(
    streams('pick'),
    (endpoint) => new SeeingNode(endpoint, fleet.replica(endpoint.id)),
    ({ replica }, now) => (replica.up ? cost(replica, now) : 1e12),
  );

/** Calls in the queue for the CPU, over the speed; one that stands still has none. @param {Replica} replica */
const queue = (replica) =>
  (replica.queued + replica.awaited + 1) /
    ((replica.paused ? 1e-6 : replica.speed) * replica.threads.length) +
  replica.awaitsMs(4) / 3;

/** Exact work, and the rest of a pause. @param {Replica} replica @param {number} now */
const work = (replica, now) =>
  (replica.workMs(now) + replica.awaitedMs) / replica.speed +
  Math.max(0, replica.pausedUntil - now) +
  3 / replica.speed;

/** @type {readonly import('./cell.mjs').Rule[]} */
export const oracles = [
  { name: 'jsq-cpu', kind: 'oracle', make: knowing(queue) },
  { name: 'jsq-work', kind: 'oracle', make: knowing(work) },
  { name: 'jsq-inflight', kind: 'oracle', make: knowing((replica) => replica.inflight + replica.awaited) },
];
