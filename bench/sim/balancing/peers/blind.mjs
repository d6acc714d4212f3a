import { drawn, Node, Nodes, whole } from './nodes.mjs';

/**
 * Everybody in turn, each client from a place of its own. What NGINX, gRPC (`round_robin`) and most clients do.
 *
 * @type {import('../cell.mjs').Rule}
 */
export const roundRobin = {
  name: 'round robin',
  kind: 'peer',
  make: (streams) => {
    const random = streams('pick');
    const nodes = new Nodes((endpoint) => new Node(endpoint));
    let turn = -1;
    return {
      update: (endpoints) => nodes.update(endpoints),
      pick: (now, hint) => {
        const { list } = nodes;
        if (list.length === 0) return null;
        if (turn < 0) turn = whole(random, list.length);
        let node = /** @type {Node} */ (list[turn++ % list.length]);
        if (hint?.avoid?.has(node.endpoint.id)) node = /** @type {Node} */ (list[turn++ % list.length]);
        return nodes.lease(node, now);
      },
    };
  },
};

/** Anybody; Envoy's `RANDOM`. @type {import('../cell.mjs').Rule} */
export const random = {
  name: 'random',
  kind: 'peer',
  make: (streams) => {
    const uniform = streams('pick');
    const nodes = new Nodes((endpoint) => new Node(endpoint));
    return {
      update: (endpoints) => nodes.update(endpoints),
      pick: (now, hint) =>
        nodes.list.length === 0 ? null : nodes.lease(drawn(nodes.list, uniform, hint?.avoid), now),
    };
  },
};
