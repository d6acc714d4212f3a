import { drawn, Node, Nodes } from './nodes.mjs';

const tauNs = 10_000e6;
const forcePickMs = 1000;
const draws = 3;
const throttle = 500;

class GoZeroNode extends Node {
  lag = 0;
  success = 1000;
  last = 0;

  get healthy() {
    return this.success > throttle;
  }
  load() {
    return Math.floor(Math.sqrt(this.lag + 1)) * (this.pending + 1);
  }
  /** @override @type {Node['ended']} */
  ended(outcome, startedAt, nowMs) {
    if (outcome === 'ignored' || outcome === 'unsent') return;
    const now = nowMs * 1e6;
    const w = this.lag === 0 ? 0 : Math.exp(-Math.max(0, now - this.last) / tauNs);
    this.last = now;
    this.lag = Math.trunc(this.lag * w + (now - startedAt * 1e6) * (1 - w));
    this.success = Math.trunc(this.success * w + (outcome === 'failure' ? 0 : 1000) * (1 - w));
  }
}

/**
 * Two choices by the root of the mean latency of 10 s, up to three draws until both are healthy.
 *
 * Source: go-zero, `zrpc/internal/balancer/p2c/p2c.go`, commit 0b1ee79.
 *
 * @type {import('../cell.mjs').Rule}
 */
export const goZero = {
  name: 'go-zero',
  kind: 'peer',
  make: (streams) => {
    const random = streams('pick');
    const nodes = new Nodes((endpoint) => new GoZeroNode(endpoint));
    return {
      update: (endpoints) => nodes.update(endpoints),
      pick: (now, hint) => {
        const { list } = nodes;
        if (list.length === 0) return null;
        let first = drawn(list, random, hint?.avoid);
        let second = drawn(list, random, hint?.avoid, first);
        for (let left = draws - 1; left > 0 && !(first.healthy && second.healthy); left--) {
          first = drawn(list, random, hint?.avoid);
          second = drawn(list, random, hint?.avoid, first);
        }
        const [better, worse] = first.load() > second.load() ? [second, first] : [first, second];
        return nodes.lease(now - worse.pickedAt > forcePickMs ? worse : better, now);
      },
    };
  },
};
