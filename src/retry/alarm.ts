import type { Cancellation } from '../core/cancel.js';
import { type Wheel, WheelEntry } from '../core/timer-wheel.js';

/** Runs a function at a time. */
export class Alarm extends WheelEntry {
  constructor(
    at: number,
    private readonly run: () => void,
  ) {
    super(at);
  }
  fire(): void {
    this.run();
  }
}

/**
 * Resolves at a time; rejects with the caller's reason as soon as the caller gives up. A promise and not a callback:
 * what follows then runs as part of the call, not of whichever call started the wheel's timer.
 *
 * @param at - on the clock's scale; milliseconds
 */
export function until(at: number, wheel: Wheel, cancel: Cancellation): Promise<void> {
  return new Promise((resolve, reject) => {
    let forget = (): void => undefined;
    const alarm = new Alarm(at, () => {
      forget();
      resolve();
    });
    wheel.add(alarm);
    forget = cancel.onAbort(() => {
      alarm.cancel();
      reject(cancel.reason);
    });
  });
}
