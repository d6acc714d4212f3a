import { EventEmitter } from 'eventemitter3';

/** A breaker changed state. */
export interface BreakerEvent {
  /** Service that is called. */
  readonly service: string;
  /** Endpoint id, or `undefined` for a breaker of the whole service. */
  readonly endpoint: string | undefined;
  /** State before. */
  readonly from: string;
  /** State now. */
  readonly to: string;
}
/** A limiter started or stopped refusing. */
export interface SheddingEvent {
  /** Service whose limiter it is. */
  readonly service: string;
  /** Whether it refuses now. */
  readonly shedding: boolean;
}
/**
 * Requests were refused before calls were made of them, since the last such event. No span and no duration tells of
 * these; a refusal of a call is told by both.
 */
export interface RejectedEvent {
  /** Service whose limiter it is. */
  readonly service: string;
  /** The reason. */
  readonly code: string;
  /** How many. */
  readonly count: number;
}
/** An endpoint was taken out of the picks, or came back. */
export interface EjectionEvent {
  /** Service that is called. */
  readonly service: string;
  /** Endpoint id. */
  readonly endpoint: string;
  /** Whether it is out now. */
  readonly ejected: boolean;
  /** Why, in a word. */
  readonly reason: string;
}
/** The instances of a service changed. */
export interface InstancesEvent {
  /** Service that was resolved. */
  readonly service: string;
  /** Endpoint ids that came. */
  readonly joined: readonly string[];
  /** Endpoint ids that went. */
  readonly left: readonly string[];
  /** How many there are now. */
  readonly size: number;
}
/** A resolver lost or regained its source; while it is stale the last good list serves. */
export interface ResolverEvent {
  /** Service that is resolved. */
  readonly service: string;
  /** Whether the list in use is stale. */
  readonly stale: boolean;
  /** What the resolver said. */
  readonly reason: string | undefined;
}
/** The registry of an app has something to tell of a registration or of what it answered. */
export interface RegistryEvent {
  /** Which service it is about. */
  readonly service: string;
  /**
   * What: `registered`, `lost` (nobody confirms the registration), `refused`, `deregistered`, `abandoned` (could not be
   * taken out, expires by itself), `malformed` (an answer that could not be read), `snapshot` (the file could not be).
   */
  readonly type: string;
  /** Why, for people. */
  readonly reason: string | undefined;
}
/** The app moved on: `starting`, `ready`, `draining`, `stopped`. */
export interface LifecycleEvent {
  /** The app's service name. */
  readonly service: string;
  /** What it is now. */
  readonly state: string;
}
/** Metadata was left out of a call for the first time, by this client or server and for this reason. */
export interface MetadataEvent {
  /** Whom the client calls; of a server, its own name. */
  readonly service: string;
  /** Which end left it out. */
  readonly side: 'client' | 'server';
  /** Why: too many entries, too many characters, a value that cannot be carried. */
  readonly reason: 'entries' | 'bytes' | 'value';
  /** Which entry. */
  readonly name: string;
}
/** A listener, hook or callback of the user threw; the call it belonged to went on. */
export interface FaultEvent {
  /** Where: name of the event or hook. */
  readonly where: string;
  /** What was thrown. */
  readonly error: unknown;
}

/** What is told on a {@link Bus}. */
export interface GovernanceEvents {
  /** A breaker changed state. */
  breaker: (event: BreakerEvent) => void;
  /** A limiter started or stopped refusing. */
  shedding: (event: SheddingEvent) => void;
  /** Requests were refused before they were calls; at most ten times a second. */
  rejected: (event: RejectedEvent) => void;
  /** An endpoint was ejected or returned. */
  ejection: (event: EjectionEvent) => void;
  /** The instances of a service changed. */
  instances: (event: InstancesEvent) => void;
  /** A resolver became stale or fresh. */
  resolver: (event: ResolverEvent) => void;
  /** The registry has something to tell. */
  registry: (event: RegistryEvent) => void;
  /** The app moved on. */
  lifecycle: (event: LifecycleEvent) => void;
  /** Metadata was left out of calls. */
  metadata: (event: MetadataEvent) => void;
  /** Code of the user threw where nobody waits for it. */
  fault: (event: FaultEvent) => void;
}

/** State changes of one app or one stack. What a listener throws never reaches a call: it becomes a `fault` event. */
export interface Bus {
  /** Adds a listener. @returns what takes it away */
  on<Name extends keyof GovernanceEvents>(name: Name, listener: GovernanceEvents[Name]): () => void;
  /** Tells all listeners of that name. Never throws. */
  emit<Name extends keyof GovernanceEvents>(name: Name, event: Parameters<GovernanceEvents[Name]>[0]): void;
  /** Whether anybody listens: ask before building an event that is costly. */
  has(name: keyof GovernanceEvents): boolean;
}

type AnyListener = (event: never) => unknown;

class TypedBus implements Bus {
  // Composed, not inherited: eventemitter3's own emit throws into its caller, and its off() without a listener removes all.
  private readonly emitter = new EventEmitter();

  on(name: keyof GovernanceEvents, listener: AnyListener): () => void {
    const guarded = (event: unknown): void => {
      try {
        const result = listener(event as never);
        if (result instanceof Promise) result.catch((error: unknown) => this.fault(name, error));
      } catch (error) {
        this.fault(name, error);
      }
    };
    this.emitter.on(name, guarded);
    return () => {
      this.emitter.off(name, guarded);
    };
  }
  emit(name: keyof GovernanceEvents, event: unknown): void {
    this.emitter.emit(name, event);
  }
  has(name: keyof GovernanceEvents): boolean {
    return this.emitter.listenerCount(name) > 0;
  }
  private fault(where: keyof GovernanceEvents, error: unknown): void {
    // A fault listener that throws has nobody left to tell.
    if (where !== 'fault') this.emit('fault', { where, error } satisfies FaultEvent);
  }
}

/** Makes a bus. An app and a stack make their own. */
export function createBus(): Bus {
  return new TypedBus();
}
