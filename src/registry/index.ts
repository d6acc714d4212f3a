/**
 * An embedded registry that speaks the protocol of bilibili/discovery, and the told-the-time parts it is made of.
 *
 * @module
 */
export type { ListenAddress } from './address.js';
export type { Snapshot } from './app-entry.js';
export type { RegistryEvent } from './engine.js';
export { drawVictims, evictionLimit } from './eviction.js';
export type { InstanceId, InstanceRegistration, InstanceStatus, StoredInstance } from './instance-record.js';
export {
  type InstanceChange,
  type InstanceStore,
  type InstanceStoreOptions,
  instanceStore,
  type ListQuery,
} from './instance-store.js';
export type { Instant } from './instant.js';
export {
  type Lifecycle,
  type LifecycleOptions,
  lifecycle,
  lifecycleDefaults,
  type Sweep,
} from './lifecycle.js';
export { type RegistryLimitOptions, registryLimitDefaults } from './limits.js';
export { createRegistry, type RegistryAddress, type RegistryServer, type RegistryStats } from './registry.js';
export { type RegistryOptions, registryDefaults } from './registry-options.js';
export {
  type RenewalGuard,
  type RenewalGuardOptions,
  renewalGuard,
  renewalGuardDefaults,
} from './renewal-guard.js';
export { type Waiter, type WaitingRoom, waitingRoom } from './waiting-room.js';
