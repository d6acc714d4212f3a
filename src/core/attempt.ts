import { type Clock, systemClock } from './clock.js';
import { refusal } from './errors.js';
import type { Ask, Gate } from './gate.js';
import type { Outcome } from './outcome.js';

/** Options of {@link attempt}. */
export interface AttemptOptions<T> extends Ask {
  /** Tells the time. The platform's by default. */
  readonly clock?: Clock;
  /** How the call ended: the value or the error is given. By default a value is `success`, an abort is `ignored`, any other error is `failure`. */
  readonly classify?: (value: T | undefined, error: unknown) => Outcome;
}

function isAbort(error: unknown): boolean {
  return typeof error === 'object' && error !== null && (error as { name?: unknown }).name === 'AbortError';
}

/**
 * Runs one function under one gate. The shortest way to use a breaker or a limiter without a stack.
 *
 * For a client with many endpoints use a stack instead; this knows nothing of retries, deadlines or bodies.
 *
 * @param gate - a breaker, a limiter, or several joined by {@link allOf}
 * @param run - what to do; may return a value or a promise
 * @param options - how to judge, and what to tell the gate
 * @throws GovernanceError when the gate refuses; else whatever `run` throws, unchanged
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
  const start = clock.now();
  const permit = gate.tryAcquire(start, options);
  if (permit === null) {
    const retryAfterMs = gate.retryAfterMs?.(start, options);
    return Promise.reject(refusal(gate.code, `refused (${gate.code})`, { retryAfterMs, side: 'client' }));
  }
  let running: Promise<T>;
  try {
    const result = run();
    // A native promise is taken as it is: wrapping it would cost a turn of the microtask queue.
    running = result instanceof Promise ? result : Promise.resolve(result);
  } catch (error) {
    running = Promise.reject(error);
  }
  return running.then(
    (value) => {
      permit.release(classify === undefined ? 'success' : classify(value, undefined), clock.now());
      return value;
    },
    (error: unknown) => {
      const outcome =
        classify === undefined ? (isAbort(error) ? 'ignored' : 'failure') : classify(undefined, error);
      permit.release(outcome, clock.now());
      throw error;
    },
  );
}
