/**
 * opossum's circuit breaker as a gate: one that a user has, or one per endpoint. Opossum itself is not imported, it is given.
 *
 * @module
 */
import type { RejectionCode } from '../core/errors.js';
import type { Gate, Permit } from '../core/gate.js';
import type { Outcome } from '../core/outcome.js';
import { AnnouncedState } from './announced-state.js';
import type { BreakerState, TransitionHook } from './breaker.js';
import {
  adopt,
  type CircuitBreakerInside,
  type CircuitBreakerLike,
  type CircuitBreakerStats,
  Evidence,
  emptyWindow,
  failureOf,
  runEvidence,
} from './opossum-breaker.js';
import {
  type CircuitBreakerSettings,
  checkBreaker,
  gateChoice,
  type OpossumChoice,
  type OpossumGateOptions,
  type OpossumOptions,
  opossumChoice,
  opossumDefaults,
  opossumSettings,
  settingsOf,
} from './opossum-options.js';

export {
  type BreakerState,
  type CircuitBreakerLike,
  type CircuitBreakerSettings,
  type CircuitBreakerStats,
  type OpossumGateOptions,
  type OpossumOptions,
  opossumDefaults,
  opossumSettings,
  type TransitionHook,
};

/** An {@link opossum} gate at one moment. */
export interface OpossumSnapshot {
  /** What it does now. */
  readonly state: BreakerState;
  /** Calls that ended within its window and said something of the callee. */
  readonly requests: number;
  /** Those among them that succeeded. */
  readonly successes: number;
  /** Calls that it refused within its window. */
  readonly rejects: number;
  /** Permits that were given and not yet released. */
  readonly inflight: number;
}

/** A gate that decides as an opossum breaker does. */
export interface OpossumGate extends Gate {
  /** `BREAKER_OPEN`; `SHUTTING_DOWN` once the breaker was shut down. */
  readonly code: RejectionCode;
  /** The breaker itself, for exporters of its events. */
  readonly breaker: CircuitBreakerLike;
  /** What it knows at this moment. */
  snapshot(): OpossumSnapshot;
  /** Refuses from now on. Shuts the breaker down if this gate made it, else only stops listening to it. */
  dispose(): void;
}

/** Makes a breaker: `(action, options) => new CircuitBreaker(action, options)`. */
export type CircuitBreakerFactory = (
  action: (...args: unknown[]) => Promise<unknown>,
  options: CircuitBreakerSettings,
) => CircuitBreakerLike;

function stateOf(breaker: CircuitBreakerLike): BreakerState {
  if (breaker.closed) return 'closed';
  return breaker.halfOpen ? 'half-open' : 'open';
}

const drop = (): void => undefined;

class OpossumPermit implements Permit {
  private observed = false;
  private released = false;

  constructor(
    private readonly gate: Opossum,
    readonly period: number,
    readonly startedAt: number,
  ) {}

  observe(outcome: Outcome, now: number): void {
    if (this.observed) return;
    this.observed = true;
    this.gate.learn(this, outcome, now);
  }
  release(outcome: Outcome, now: number): void {
    if (this.released) return;
    this.released = true;
    this.gate.inflight--;
    this.observe(outcome, now);
  }
}

class Opossum implements OpossumGate {
  inflight = 0;
  private readonly announced: AnnouncedState;
  private readonly succeeded = new Evidence(undefined);
  private readonly failed = new Evidence(failureOf('The call failed', 'EFAILURE'));
  private readonly shed = new Evidence(failureOf('The call was shed', 'EOVERLOAD'));
  private readonly refusal = failureOf('Breaker is open', 'EOPENBREAKER');
  /** Counts changes of state: a result that began in another period is not evidence for this one. */
  private period = 0;
  /** The one call that is to find out. */
  private probe: OpossumPermit | undefined;
  /** Opossum's timers do not say when they ran: the time at which something was asked last. */
  private latest = 0;
  /** `undefined`: not by a call of this gate, so that nobody told when. */
  private openedAt: number | undefined;
  private over = false;
  /** Whether this gate is telling the breaker something now. */
  private telling = false;

  constructor(
    readonly breaker: CircuitBreakerLike,
    private readonly choice: OpossumChoice,
    private readonly own: boolean,
  ) {
    this.announced = new AnnouncedState({ mode: 'auto', onTransition: choice.onTransition });
    this.announced.current = stateOf(breaker);
    this.over = breaker.isShutdown;
    breaker.on('open', this.changed);
    breaker.on('halfOpen', this.changed);
    breaker.on('close', this.changed);
    breaker.on('shutdown', this.ended);
  }

  get code(): RejectionCode {
    return this.over ? 'SHUTTING_DOWN' : 'BREAKER_OPEN';
  }

  tryAcquire(now: number): Permit | null {
    this.latest = now;
    if (this.over) return null;
    const { breaker } = this;
    if (!breaker.enabled || breaker.closed) return this.admit(now);
    if (this.findsOut(now)) {
      this.probe = this.admit(now);
      return this.probe;
    }
    this.refused(now);
    return null;
  }

  retryAfterMs(now: number): number | undefined {
    if (this.over || !this.breaker.opened || this.openedAt === undefined) return undefined;
    const { resetTimeout } = (this.breaker as unknown as CircuitBreakerInside).options;
    if (typeof resetTimeout !== 'number') return undefined;
    return Math.min(resetTimeout, Math.max(0, this.openedAt + resetTimeout - now));
  }

  /** Takes in how a call ended: once for each, when its verdict is known. */
  learn(permit: OpossumPermit, outcome: Outcome, now: number): void {
    this.latest = now;
    if (permit.period !== this.period) return;
    const probe = permit === this.probe;
    if (probe) this.probe = undefined;
    if (outcome === 'ignored' || outcome === 'unsent' || this.over || !this.breaker.enabled) return;
    if (outcome === 'success') this.tell(this.succeeded);
    else this.tell(outcome === 'overload' ? this.shed : this.failed);
    // A breaker in its warm-up does not open; with its one probe spent, it would then stay half open for ever.
    if (probe && outcome !== 'success' && this.breaker.halfOpen) this.breaker.open();
  }

  snapshot(): OpossumSnapshot {
    const { fires, successes, rejects } = this.breaker.stats;
    return { state: stateOf(this.breaker), requests: fires, successes, rejects, inflight: this.inflight };
  }

  dispose(): void {
    if (this.over) return;
    const { breaker } = this;
    this.ended();
    breaker.removeListener('open', this.changed);
    breaker.removeListener('halfOpen', this.changed);
    breaker.removeListener('close', this.changed);
    breaker.removeListener('shutdown', this.ended);
    if (this.own) breaker.shutdown();
  }

  private admit(now: number): OpossumPermit {
    this.inflight++;
    return new OpossumPermit(this, this.period, now);
  }

  /** Whether the next call is the one that finds out. Opossum's own count of it starts when it ends, so it is kept here. */
  private findsOut(now: number): boolean {
    const { breaker, probe } = this;
    if (!breaker.halfOpen || !breaker.pendingClose) return false;
    if (probe === undefined) return true;
    // A clock that stepped back: better to give up early than to wait until it has caught up.
    const age = Math.abs(now - probe.startedAt);
    if (age >= this.choice.probeTimeoutMs) this.learn(probe, 'failure', now);
    return false;
  }

  /** For exporters that count it. Opossum's own way would build an error with a stack for each. */
  private refused(now: number): void {
    if (this.breaker.opened) this.openedAt ??= now;
    try {
      this.breaker.emit('reject', this.refusal);
    } catch {
      // A listener's fault is not the call's.
    }
  }

  private tell(evidence: Evidence): void {
    this.telling = true;
    try {
      this.breaker.fire(evidence as never).catch(drop);
    } catch {
      // A listener's fault is not the call's.
    } finally {
      this.telling = false;
    }
  }

  private readonly changed = (): void => {
    const state = stateOf(this.breaker);
    this.period++;
    this.probe = undefined;
    this.openedAt = state === 'open' && this.telling ? this.latest : undefined;
    if (state === 'closed') emptyWindow(this.breaker);
    this.announced.become(state, this.latest);
  };

  /** Remembered here: a health check that fails after the shutdown opens the breaker, which then is not shut down any more. */
  private readonly ended = (): void => {
    this.over = true;
    this.probe = undefined;
  };
}

function isBreaker(source: unknown): source is CircuitBreakerLike {
  const breaker = source as Partial<CircuitBreakerLike> | null;
  return (
    typeof breaker === 'object' &&
    breaker !== null &&
    typeof breaker.fire === 'function' &&
    typeof breaker.on === 'function' &&
    typeof breaker.removeListener === 'function' &&
    typeof breaker.emit === 'function' &&
    typeof breaker.closed === 'boolean' &&
    typeof breaker.pendingClose === 'boolean'
  );
}

function made(create: CircuitBreakerFactory, choice: OpossumChoice): CircuitBreakerLike {
  const breaker = create(runEvidence as () => Promise<unknown>, settingsOf(choice));
  if (!isBreaker(breaker)) throw new TypeError('opossum: the factory must return an opossum CircuitBreaker');
  if ((breaker as unknown as CircuitBreakerInside).action !== runEvidence)
    throw new TypeError('opossum: the factory must make its breaker around the action that it is given');
  return breaker;
}

/**
 * Lets an opossum breaker decide: a gate, so that the balancer picks another endpoint when it refuses, and so that a stack
 * judges how calls ended.
 *
 * Use it where a team has its breakers, their settings and their dashboards in opossum. Otherwise use `sre` or
 * `threshold`: opossum has one probe, no growing open time and a timer for each breaker, and costs ten times as much.
 *
 * With a factory each gate makes its breaker, and shuts it down when the gate is disposed of, which a stack does when the
 * endpoint has left and `keyed` when it forgets the key. With a breaker the gate uses that one, for one endpoint, a whole
 * client (`limits`), or anything else that `attempt` or `guard` runs; its own action is not run, and stays what it is for
 * whoever fires the breaker elsewhere. Safe settings are enforced, see {@link opossumSettings}.
 *
 * - The breaker is told how a call ended when it has ended. So calls in flight and refusals are not in its error rate,
 *   `timeout` and `capacity` have no part in calls, and the times in its events are 0: measure calls with the stack's
 *   metrics. A `fallback` answers no call: set none.
 * - `failure` and `overload` are failures, also where the wire resolves (a status 500). `ignored` and `unsent` are not told
 *   to it: a cancelled probe gives its place back. An `errorFilter` sees only that a call failed, not why.
 * - What began before it opened neither closes nor opens it again. It closes with an empty window: opossum keeps the
 *   failures that opened it, and where the window is longer than `resetTimeout` the next one would open it again.
 * - Its events are emitted as ever (`fire`, `success`, `failure`, `reject`, `open`, `halfOpen`, `close`).
 *
 * @param source - a breaker, or how to make one
 * @param options - settings for one that is made; for one that exists only `probeTimeoutMs` and `onTransition`
 * @throws TypeError or RangeError at construction for options out of range and for a breaker with unsafe settings.
 * Refusals are `BREAKER_OPEN`, after a shutdown `SHUTTING_DOWN`
 * @example
 * ```ts
 * const create = (action, options) => new CircuitBreaker(action, options);
 * const gates = (endpoint, announce) => [opossum(create, { name: endpoint.id, onTransition: announce })];
 * const users = app.fetch('users', { gates });
 * ```
 *
 * Source: opossum 8 to 10, `lib/circuit.js`. It differs from `fire` around the call in what is listed above.
 */
export function opossum(source: CircuitBreakerFactory, options?: OpossumOptions): OpossumGate;
/**
 * The same for a breaker that exists.
 *
 * @param source - the breaker
 * @param options - what the gate itself does
 */
export function opossum(source: CircuitBreakerLike, options?: OpossumGateOptions): OpossumGate;
export function opossum(
  source: CircuitBreakerLike | CircuitBreakerFactory,
  options?: OpossumOptions,
): OpossumGate {
  if (typeof source === 'function') {
    const choice = opossumChoice(options);
    return new Opossum(made(source, choice), choice, true);
  }
  const choice = gateChoice(options);
  if (!isBreaker(source))
    throw new TypeError('opossum: needs an opossum CircuitBreaker, or a function that makes one');
  checkBreaker(source);
  adopt(source);
  return new Opossum(source, choice, false);
}
