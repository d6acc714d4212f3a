import type { Clock, Timer } from './clock.js';

/**
 * Waits for something, and for no longer than that. The process stays meanwhile: who waits for the end wants what is done
 * until then.
 *
 * @throws what `done` rejects with in time; later that is nobody's concern
 */
export async function within(clock: Clock, ms: number, done: Promise<void>): Promise<void> {
  let timer: Timer | undefined;
  const late = new Promise<void>((resolve) => {
    timer = clock.after(Math.max(0, ms), resolve);
    timer.hold?.(true);
  });
  try {
    await Promise.race([done, late]);
  } finally {
    timer?.cancel();
  }
}
