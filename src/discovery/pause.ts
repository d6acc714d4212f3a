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

  end(): void {
    this.over = true;
    this.timer?.cancel();
    this.resume?.();
  }
}
