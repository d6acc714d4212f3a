import type { Clock } from '../core/clock.js';

/**
 * Waits for a promise, but no longer than that.
 *
 * @throws (as a rejection) what the promise rejects with, or Error when the time is over
 */
export function within<T>(promise: Promise<T>, timeoutMs: number, clock: Clock): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(timeoutMs, () => reject(new Error(`no answer within ${timeoutMs} ms`)));
    const ended = (settle: () => void): void => {
      timer.cancel();
      settle();
    };
    promise.then(
      (value) => ended(() => resolve(value)),
      (error: unknown) => ended(() => reject(error)),
    );
  });
}
