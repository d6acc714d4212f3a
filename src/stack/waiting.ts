import type { Clock } from '../core/clock.js';

/** Waits. Nothing for no time. */
export function pause(ms: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    if (ms > 0) clock.after(ms, resolve);
    else resolve();
  });
}

/** Waits for something that never rejects, but no longer than that. */
export function within(work: Promise<void>, ms: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.after(ms, resolve);
    work.then(() => {
      timer.cancel();
      resolve();
    }, resolve);
  });
}
