/** Something that happened, for a log. */
export interface RegistryEvent {
  /** What. */
  readonly name:
    | 'listening'
    | 'registered'
    | 'cancelled'
    | 'changed'
    | 'refused'
    | 'evicted'
    | 'protecting'
    | 'late'
    | 'merged'
    | 'peer'
    | 'namesake'
    | 'synced'
    | 'restored'
    | 'snapshot'
    | 'scheduler'
    | 'tls'
    | 'fault'
    | 'closing'
    | 'closed';
  /** Details, by name. */
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

/** Passes an event on. Never throws. */
export type Tell = (name: RegistryEvent['name'], fields: RegistryEvent['fields']) => void;
