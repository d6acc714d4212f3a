import type { ServiceInstance } from './instance.js';
import type { Resolver } from './resolver.js';

/** A registration that is being kept alive. */
export interface Registration {
  /** Takes the instance out and stops renewing, in this order: a renewal under way cannot bring it back. */
  deregister(): Promise<void>;
}

/** Makes instances known. */
export interface Registrar {
  /** Registers and keeps renewing until told to stop. Rejects if the first registration is refused. */
  register(instance: ServiceInstance): Promise<Registration>;
}

/** Both directions of one registry. */
export interface Registry extends Resolver, Registrar {
  /** Lets go of sockets and timers. */
  close(): Promise<void>;
}
