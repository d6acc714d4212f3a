import type { Clock, Timer } from '../core/clock.js';
import type { Surroundings } from '../core/current.js';

/** What {@link Alarm} needs. */
export interface AlarmInit {
  readonly clock: Clock;
  /** Where its timer belongs to, whoever sets it. */
  readonly home: Surroundings;
}

/** Runs a function at the earliest of the times that it was set to, once. */
export class Alarm {
  private timer: Timer | undefined;
  private at = Number.POSITIVE_INFINITY;

  constructor(
    private readonly init: AlarmInit,
    private readonly ring: () => void,
  ) {}

  /** @param ms - from now */
  set(ms: number): void {
    const { clock, home } = this.init;
    const at = clock.now() + ms;
    if (this.timer !== undefined && this.at <= at) return;
    this.timer?.cancel();
    this.at = at;
    home.runInAsyncScope(() => {
      this.timer = clock.after(ms, () => {
        this.timer = undefined;
        this.ring();
      });
    });
  }

  cancel(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }
}
