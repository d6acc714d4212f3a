/** What keelson needs of opossum's `CircuitBreaker`, from version 8 on. */
export interface CircuitBreakerLike {
  /** Whether it protects; disabled, it lets everything through. */
  readonly enabled: boolean;
  /** Whether calls pass. */
  readonly closed: boolean;
  /** Whether calls are refused. */
  readonly opened: boolean;
  /** Whether one call may find out. */
  readonly halfOpen: boolean;
  /** Half open: whether that one call is still to come. */
  readonly pendingClose: boolean;
  /** Whether it was ended by `shutdown`. */
  readonly isShutdown: boolean;
  /** Calls that its window has to hold before it opens. */
  readonly volumeThreshold: number;
  /** What its window holds. */
  readonly stats: CircuitBreakerStats;
  /** Runs its action and counts how that ended. */
  fire(...args: never[]): Promise<unknown>;
  /** Opens it. */
  open(): void;
  /** Ends it: its timers stop, its listeners are dropped. */
  shutdown(): void;
  /** Adds a listener. */
  on(event: string, listener: () => void): unknown;
  /** Takes a listener away. */
  removeListener(event: string, listener: () => void): unknown;
  /** Tells listeners. */
  emit(event: string, ...args: unknown[]): boolean;
}

/** What opossum counted within its window. */
export interface CircuitBreakerStats {
  /** Calls. */
  readonly fires: number;
  /** Those that failed. */
  readonly failures: number;
  /** Those that did not. */
  readonly successes: number;
  /** Those that were refused. */
  readonly rejects: number;
}

/** What a `CircuitBreaker` has besides, and its published types do not name. */
export interface CircuitBreakerInside {
  action: (this: unknown, ...args: unknown[]) => unknown;
  readonly options: Readonly<Record<string, unknown>>;
  readonly status?: { readonly window?: readonly Record<string, unknown>[] };
}

/** How one call ended, as the argument of the breaker's action: it ends as the call did. */
export class Evidence {
  /** @param error - why the call failed; `undefined` for one that succeeded */
  constructor(private readonly error: Error | undefined) {}

  /** The whole action. A throw, and not a rejection: opossum then knows of it at once and not a microtask later. */
  run(): true {
    if (this.error !== undefined) throw this.error;
    return true;
  }
}

/** An error as opossum's own are made, but without a stack: it is made once and stands for many calls. */
export function failureOf(message: string, code: string): Error {
  const error = Object.assign(new Error(message), { code });
  error.stack = `Error: ${message}`;
  return error;
}

/** The action of a breaker that keelson makes. */
export function runEvidence(evidence: unknown): unknown {
  return evidence instanceof Evidence ? evidence.run() : Promise.resolve(evidence);
}

/** Takes out of a breaker's window what led to its opening. */
export function emptyWindow(breaker: CircuitBreakerLike): void {
  const { status } = breaker as unknown as CircuitBreakerInside;
  for (const part of status?.window ?? [])
    for (const [name, count] of Object.entries(part)) if (typeof count === 'number') part[name] = 0;
}

const adopted = new WeakSet<object>();

/**
 * Makes a breaker count calls that it did not run itself. Its own action stays what it is for whoever fires the breaker
 * elsewhere; it must not run a second time for a call that is already over.
 */
export function adopt(breaker: CircuitBreakerLike): void {
  const inside = breaker as unknown as CircuitBreakerInside;
  const { action } = inside;
  if (typeof action !== 'function') throw new TypeError('opossum: this breaker has no action');
  if (action === runEvidence || adopted.has(action)) return;
  const both = function (this: unknown, ...args: unknown[]): unknown {
    return args[0] instanceof Evidence ? args[0].run() : action.apply(this, args);
  };
  adopted.add(both);
  inside.action = both;
}
