import { Node, ofAll, ofTwo } from './nodes.mjs';

/**
 * The one of two with fewer calls of this client under way.
 *
 * Source: Envoy, `LEAST_REQUEST` with equal weights and `choice_count` 2, its default; counts are of one proxy.
 *
 * @type {import('../cell.mjs').Rule}
 */
export const leastRequest = {
  name: 'least request P2C',
  kind: 'peer',
  make: (streams) =>
    ofTwo(
      streams('pick'),
      (endpoint) => new Node(endpoint),
      (first, second) => (second.pending < first.pending ? second : first),
    ),
};

/** The one of all. Source: Envoy, `LEAST_REQUEST` with `FULL_SCAN`. @type {import('../cell.mjs').Rule} */
export const leastOfAll = {
  name: 'least request, full scan',
  kind: 'peer',
  make: (streams) =>
    ofAll(
      streams('pick'),
      (endpoint) => new Node(endpoint),
      (node) => node.pending,
    ),
};
