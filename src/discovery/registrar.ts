import type { ServiceInstance } from './instance.js';
import type { Resolver } from './resolver.js';

/** A registration that is being kept alive. */
export interface Registration {
  /**
   * Whether the registry has it, as far as is known. False while the registry is away since the start, and after the
   * end.
   */
  readonly registered: boolean;
  /**
   * Stops renewing and takes the instance out, so that a renewal under way cannot bring it back. Never rejects, and
   * ends in bounded time: what cannot be taken out expires by itself. A second call joins the first.
   */
  deregister(): Promise<void>;
}

/** Makes instances known. */
export interface Registrar {
  /**
   * Registers and keeps renewing until told to stop. Rejects if the first registration is refused. When the registry
   * is away it resolves all the same, not yet `registered`, and goes on trying: a service must be able to start
   * without it.
   */
  register(instance: ServiceInstance): Promise<Registration>;
}

/** Both directions of one registry. */
export interface Registry extends Resolver, Registrar {
  /** Lets go of sockets and timers; takes out what is still registered. */
  close(): Promise<void>;
  /**
   * The address by which this host reaches the registry, for want of a better one to advertise: an IP address without
   * brackets, or `undefined` when it cannot be told. Registries without a network leave it out.
   */
  localAddress?(): Promise<string | undefined>;
}
