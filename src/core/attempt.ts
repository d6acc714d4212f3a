import { type Clock, systemClock } from './clock.js';
import { refusal } from './errors.js';
import type { Ask, Gate, Permit } from './gate.js';
import { unknownOption } from './option-names.js';
import { wrongKind } from './options.js';
import type { Outcome } from './outcome.js';
import { verdictOnRefusal } from './verdict.js';

/** Options of {@link attempt}. */
export interface AttemptOptions<T> extends Ask {
  /** Tells the time. The platform's by default. */
  readonly clock?: Clock | undefined;
  /**
   * How the call ended: the value or the error is given. By default a value is `success`; an `AbortError` is
   * `ignored`; a refusal by another gate further in is `unsent`, for the callee was not reached; any other error, a
   * timeout among them, is `failure`.
   */
  readonly classify?: ((value: T | undefined, error: unknown) => Outcome) | undefined;
}

function outcomeOf(error: unknown): Outcome {
  if (typeof error === 'object' && error !== null && (error as { name?: unknown }).name === 'AbortError')
    return 'ignored';
  return verdictOnRefusal(error, 'client')?.outcome ?? 'failure';
}

const known = ['clock', 'classify', 'operation', 'priority', 'cost', 'key'];

/** An object of a class, such as a call, has more to it than options. */
function strangerIn(options: object): string | undefined {
  if (Object.getPrototypeOf(options) !== Object.prototype) return undefined;
  for (const name in options) if (!known.includes(name)) return name;
  return undefined;
}

/** What went wrong before the function ran: mostly that somebody's gate is none. */
function faultOf(gate: unknown, fault: unknown): unknown {
  if (typeof (gate as Partial<Gate> | undefined)?.tryAcquire === 'function') return fault;
  return wrongKind('attempt: the first argument', 'a gate, such as sre() makes', gate);
}

/**
 * Runs one function under one gate. The shortest way to use a breaker or a limiter without a stack.
 *
 * For a client with many endpoints use a stack instead; this knows nothing of retries, deadlines or bodies.
 *
 * @param gate - a breaker, a limiter, or several joined by {@link allOf}
 * @param run - what to do; may return a value or a promise
 * @param options - how to judge, and what to tell the gate
 * @throws GovernanceError when the gate refuses; TypeError for what is no gate, no function or no option; else whatever `run`
 * throws, unchanged
 * @example
 * ```ts
 * const rows = await attempt(sre(), () => db.query('select 1'));
 * ```
 */
export function attempt<T>(
  gate: Gate,
  run: () => T | PromiseLike<T>,
  options?: AttemptOptions<T>,
): Promise<T> {
  const clock = options?.clock ?? systemClock;
  const classify = options?.classify;
  if (typeof run !== 'function')
    return Promise.reject(wrongKind('attempt: the second argument', 'a function', run));
  const stranger = options && strangerIn(options);
  if (stranger !== undefined) return Promise.reject(unknownOption('attempt', stranger, known));
  let permit: Permit | null;
  try {
    const now = clock.now();
    permit = gate.tryAcquire(now, options);
    if (permit === null) {
      const retryAfterMs = gate.retryAfterMs?.(now, options);
      return Promise.reject(refusal(gate.code, `refused (${gate.code})`, { retryAfterMs, side: 'client' }));
    }
  } catch (fault) {
    return Promise.reject(faultOf(gate, fault));
  }
  const held = permit;
  let running: Promise<T>;
  try {
    const result = run();
    // A native promise is taken as it is: wrapping it would cost a turn of the microtask queue.
    running = result instanceof Promise ? result : Promise.resolve(result);
  } catch (error) {
    running = Promise.reject(error);
  }
  // `ignored` until it is judged: a classify that throws is a bug, and must not cost a place in flight for ever.
  let outcome: Outcome = 'ignored';
  return running.then(
    (value) => {
      try {
        outcome = classify === undefined ? 'success' : classify(value, undefined);
      } finally {
        held.release(outcome, clock.now());
      }
      return value;
    },
    (error: unknown) => {
      try {
        outcome = classify === undefined ? outcomeOf(error) : classify(undefined, error);
      } finally {
        held.release(outcome, clock.now());
      }
      throw error;
    },
  );
}
