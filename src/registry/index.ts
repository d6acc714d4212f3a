/**
 * An embedded registry that speaks the protocol of bilibili/discovery, and the told-the-time parts it is made of.
 *
 * @module
 */
export type { ListenAddress } from './address.js';
export type { Snapshot } from './app-entry.js';
export { type Claim, compareClaims, freshVersion } from './conflict.js';
export type { Mark } from './digest.js';
export { drawVictims, evictionLimit } from './eviction.js';
export type { Cancelled } from './graves.js';
export type { InstanceId } from './instance-id.js';
export type { InstanceRegistration, InstanceStatus, StoredInstance } from './instance-record.js';
export {
  type InstanceCancellation,
  type InstanceChange,
  type InstanceStore,
  type InstanceStoreOptions,
  instanceStore,
  instanceStoreDefaults,
  type ListQuery,
  type Registered,
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
export { createRegistry, type RegistryServer } from './registry.js';
export type { RegistryEvent } from './registry-event.js';
export { type RegistryOptions, registryDefaults } from './registry-options.js';
export type { RegistryAddress, RegistryStats } from './registry-stats.js';
export {
  type RenewalGuard,
  type RenewalGuardOptions,
  renewalGuard,
  renewalGuardDefaults,
} from './renewal-guard.js';
export type { PeerState } from './replication.js';
export type { RegistryTlsOptions } from './tls-files.js';
export type { RegistryTokens } from './tokens.js';
export { type Waiter, type WaitingRoom, waitingRoom } from './waiting-room.js';
