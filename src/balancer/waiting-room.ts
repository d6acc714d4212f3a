import type { Call } from '../core/call.js';
import type { Clock } from '../core/clock.js';
import { type Wheel, WheelEntry, wheelOf } from '../core/timer-wheel.js';

class Guest extends WheelEntry {
  leave: () => void = () => undefined;
  constructor(
    at: number,
    readonly resolve: () => void,
    readonly reject: (error: unknown) => void,
    private readonly tooLate: () => Error,
  ) {
    super(at);
  }
  fire(): void {
    this.leave();
    this.reject(this.tooLate());
  }
}

/** A guest leaves two ticks of the wheel before its deadline: "no endpoint" tells more than "deadline exceeded". */
const headStartMs = 8;

/** Where calls wait for the first endpoint. Bounded; a guest leaves at its deadline, when its caller gives up, or when somebody comes. */
export class WaitingRoom {
  private readonly guests = new Set<Guest>();
  private readonly wheel: Wheel;

  constructor(
    clock: Clock,
    private readonly patienceMs: number,
    private readonly seats: number,
  ) {
    this.wheel = wheelOf(clock);
  }

  /** Resolves when endpoints are there. */
  wait(call: Call, now: number, refuse: () => Error): Promise<void> {
    const at = Math.min(call.deadline - headStartMs, now + this.patienceMs);
    if (call.cancel.aborted) return Promise.reject(call.cancel.reason);
    if (this.guests.size >= this.seats || at <= now) return Promise.reject(refuse());
    return new Promise((resolve, reject) => {
      const guest = new Guest(at, resolve, reject, refuse);
      this.guests.add(guest);
      this.wheel.add(guest);
      const forget = call.cancel.onAbort(() => {
        guest.leave();
        reject(call.cancel.reason);
      });
      guest.leave = () => {
        this.guests.delete(guest);
        guest.cancel();
        forget();
      };
    });
  }

  /** Lets everybody go on. */
  admit(): void {
    for (const guest of [...this.guests]) {
      guest.leave();
      guest.resolve();
    }
  }

  /** Sends everybody away. */
  dismiss(refuse: () => Error): void {
    for (const guest of [...this.guests]) {
      guest.leave();
      guest.reject(refuse());
    }
  }
}
