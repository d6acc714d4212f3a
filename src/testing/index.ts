/**
 * For tests of services that use keelson: a clock that stands still, random numbers that repeat, a callee by script,
 * servers in virtual time.
 *
 * @module
 */
export { type ManualClock, manualClock } from './manual-clock.js';
export {
  type ScriptedCall,
  type ScriptedHandler,
  type ScriptedHandlerOptions,
  type ScriptStep,
  scriptedHandler,
} from './scripted-handler.js';
export { seededRandom } from './seeded-random.js';
export {
  type ClusterEvent,
  type ClusterReport,
  type SimulatedCluster,
  type SimulatedClusterOptions,
  simulatedCluster,
  type TrafficOptions,
} from './simulated-cluster.js';
export {
  type ServerReport,
  type SimulatedServerOptions,
  simulatedServerDefaults,
} from './simulated-server.js';
