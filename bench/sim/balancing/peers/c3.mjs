import { Node, ofAll } from './nodes.mjs';

/** Weight of the newest sample. */
const alpha = 0.9;
/** How long one that failed is passed over: the paper leaves failures to Cassandra's failure detector. */
const coolMs = 300;

class C3Node extends Node {
  queue = 0;
  serviceMs = 0;
  responseMs = 0;
  measured = false;
  coolUntil = Number.NEGATIVE_INFINITY;

  /** @param {number} clients @param {number} now */
  score(clients, now) {
    if (now < this.coolUntil) return Number.MAX_VALUE;
    if (!this.measured) return this.pending === 0 ? 0 : Number.MAX_VALUE;
    const waits = 1 + this.pending * clients + this.queue;
    return this.responseMs - this.serviceMs + waits ** 3 * this.serviceMs;
  }
  /** @override @type {Node['ended']} */
  ended(outcome, startedAt, now, feedback) {
    const load = feedback?.load;
    if (outcome === 'failure') this.coolUntil = now + coolMs;
    if (outcome !== 'success' || load === undefined) return;
    const kept = this.measured ? 1 - alpha : 0;
    this.queue = this.queue * kept + (load.inflight ?? 0) * (1 - kept);
    this.serviceMs = this.serviceMs * kept + (load.serviceMs ?? 0) * (1 - kept);
    this.responseMs = this.responseMs * kept + (now - startedAt) * (1 - kept);
    this.measured = true;
  }
}

/**
 * Ranks all by what they say of their queue, to the third power. Clients are counted, as in the paper, so calls of one's
 * own stand for those that the others will send in the meantime.
 *
 * Source: L. Suresh and others, "C3: Cutting Tail Latency in Cloud Data Stores via Adaptive Replica Selection", NSDI 2015,
 * section 3.1; averages as in its Cassandra (`ScoreTracker`). Without its rate control, which shapes the clients and not the
 * choice.
 *
 * @type {import('../cell.mjs').Rule}
 */
export const c3 = {
  name: 'C3, full scan',
  kind: 'peer',
  make: (streams, _client, { clients }) =>
    ofAll(
      streams('pick'),
      (endpoint) => new C3Node(endpoint),
      (node, now) => node.score(clients, now),
    ),
};
