import type { Clock } from '../core/clock.js';
import { WheelEntry, wheelOf } from '../core/timer-wheel.js';

/** Runs a function once after some time, unless it is cancelled before. */
export class Alarm extends WheelEntry {
  /** @param afterMs - `Infinity` for never */
  constructor(
    clock: Clock,
    afterMs: number,
    private readonly ring: () => void,
  ) {
    const now = clock.now();
    super(now + afterMs);
    wheelOf(clock).add(this, now);
  }

  fire(): void {
    this.ring();
  }
}
