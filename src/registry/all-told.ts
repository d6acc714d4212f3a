import type { Clock } from '../core/clock.js';

/** How many are to be told, and how long that is waited for. */
export interface Awaited {
  readonly clock: Clock;
  readonly count: number;
  readonly boundMs: number;
}

/**
 * Resolves when so many were told, or when it has lasted long enough.
 *
 * @param begin - given what is to be called once for each
 */
export function allTold(
  { clock, count, boundMs }: Awaited,
  begin: (done: () => void) => void,
): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    const timer = clock.after(boundMs, resolve);
    begin(() => {
      if (--left > 0) return;
      timer.cancel();
      resolve();
    });
  });
}
