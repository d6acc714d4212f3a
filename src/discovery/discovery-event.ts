/**
 * Something worth telling of a {@link discovery} client, for logs and buses.
 *
 * - `registered`: the registry has an instance of ours, for the first time or again.
 * - `refused`: it does not want it; tried again, rarely.
 * - `lost`: nobody confirms the registration: no node answers, or the one that does has forgotten it.
 * - `deregistered`: it was taken out.
 * - `abandoned`: it could not be taken out, and will expire by itself.
 * - `stale`, `fresh`: what is known of a service became so; `stale` also when nothing is known, for nobody can be asked.
 * - `malformed`: an instance, or a whole answer, could not be read and was left out.
 * - `snapshot`: the snapshot file could not be read or written.
 * - `fault`: a listener of the user threw.
 */
export interface DiscoveryEvent {
  readonly type:
    | 'registered'
    | 'refused'
    | 'lost'
    | 'deregistered'
    | 'abandoned'
    | 'stale'
    | 'fresh'
    | 'malformed'
    | 'snapshot'
    | 'fault';
  /** Which service, if it is about one. */
  readonly service?: string | undefined;
  /** Why, for people. */
  readonly reason?: string | undefined;
}

/** Tells a listener, and keeps what it throws from whoever tells. */
export function teller(
  listener: ((event: DiscoveryEvent) => void) | undefined,
): (event: DiscoveryEvent) => void {
  return (event) => {
    try {
      listener?.(event);
    } catch {
      // The listener is where faults are told; there is nobody behind it.
    }
  };
}

/** What was thrown, in words. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
