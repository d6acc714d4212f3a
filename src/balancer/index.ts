/**
 * Choosing among endpoints: by what servers report, two choices by load, turns, chance, hashing; filters and subsets; slow start;
 * ejection.
 *
 * @module
 */
export {
  type BalanceOptions,
  balance,
  balanceDefaults,
  type EndpointChange,
  type EndpointState,
  type Leaf,
} from './balance.js';
export type { Balancer, EndpointSnapshot, Lease, PickHint, Witness } from './balancer.js';
export { type C3Options, c3, c3Defaults } from './c3.js';
export type { EndpointStack } from './crew.js';
export { type Ejection, type OutlierEjectionOptions, outlierEjectionDefaults } from './ejection-options.js';
export { type EndpointFilter, filtered, inVersion, labelled } from './filter.js';
export { inflightMeter } from './inflight-meter.js';
export { kratosV1, kratosV2, kratosV3 } from './kratos.js';
export { type LeastLoadOptions, leastLoad, leastLoadDefaults } from './least-load.js';
export type { LoadMeter, Metering } from './meter.js';
export { type NearZoneOptions, nearZone, nearZoneDefaults } from './near-zone.js';
export { outlierEjection } from './outlier-ejection.js';
export { type P2cOptions, p2c, p2cDefaults } from './p2c.js';
export { type PeakEwmaOptions, peakEwma, peakEwmaDefaults } from './peak-ewma.js';
export { type RendezvousOptions, rendezvous, rendezvousDefaults } from './rendezvous.js';
export { type ResponseTimeOptions, responseTime, responseTimeDefaults } from './response-time.js';
export { type RoundRobinOptions, roundRobin, roundRobinDefaults } from './round-robin.js';
export { type ServerBacklogOptions, serverBacklog, serverBacklogDefaults } from './server-backlog.js';
export { type SlowStartOptions, slowStartDefaults } from './slow-start.js';
export {
  type StandardBalancerOptions,
  standardBalancer,
  standardBalancerDefaults,
} from './standard-balancer.js';
export { type SubsetOptions, subset, subsetDefaults } from './subset.js';
export { type WeightedRandomOptions, weightedRandom, weightedRandomDefaults } from './weighted-random.js';
