import type { Clock, Timer } from '../core/clock.js';

/** Waits that can be ended for good, for one loop. */
export class Pause {
  private timer: Timer | undefined;
  private resume: (() => void) | undefined;
  private over = false;

  constructor(private readonly clock: Clock) {}

  /** Resolves after that long; at once, now and ever after, when the pause was ended. */
  wait(ms: number): Promise<void> {
    if (this.over || ms <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.resume = resolve;
      this.timer = this.clock.after(ms, resolve);
    });
  }

  /** Ends the wait under way, if there is one. */
  wake(): void {
    this.timer?.cancel();
    this.resume?.();
  }

  end(): void {
    this.over = true;
    this.wake();
  }
}

/** Waits for that long, or until the signal is aborted. */
export function rest(
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
  ms: number,
): Promise<void> {
  if (signal.aborted || ms <= 0) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.after(ms, end);
    signal.addEventListener('abort', end);
  });
}
