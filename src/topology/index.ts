/** Who calls whom, counted in process before any sampling. Not a subpath of the package; the stack shows it. */
export {
  type Edge,
  type EdgeDuration,
  type EdgeEnd,
  type EdgeName,
  type EdgePeriod,
  type EdgeSide,
  otherService,
  unknownService,
} from './edge.js';
export type { MessageSizes } from './edge-call.js';
export type { EdgeMessage } from './message-edges.js';
export {
  type ClientEdgesOptions,
  type ServerEdgesOptions,
  type Topology,
  type TopologyOptions,
  topology,
  topologyDefaults,
} from './topology.js';
