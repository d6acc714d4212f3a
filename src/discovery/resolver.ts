import type { ServiceInstance } from './instance.js';

/** Everything that is known of a service at one moment: a whole snapshot, never a difference. */
export interface Resolution {
  /** Instances that are up. */
  readonly instances: readonly ServiceInstance[];
  /** The source is away, or said something that cannot be trusted; this is the last good list. */
  readonly stale: boolean;
  /** Why it is stale, for people. */
  readonly reason?: string | undefined;
}

/** A subscription to one service. */
export interface Watch {
  /** Ends it; no further snapshot is pushed. A second call does nothing. */
  close(): void;
}

/**
 * Finds the instances of services. Pushes whole snapshots, never differences: a lost message heals itself.
 * `stale` keeps serving the last good set.
 */
export interface Resolver {
  /**
   * Subscribes to one service.
   *
   * @param service - logical name
   * @param onChange - called with the first snapshot as soon as there is one, synchronously when it is already
   * known, and then at each change; what it throws never reaches the resolver's own work
   */
  watch(service: string, onChange: (resolution: Resolution) => void): Watch;
  /** Lets go of sockets and timers. */
  close?(): Promise<void> | void;
}
