import type { Clock, Timer } from './clock.js';
import { runWithoutCall } from './current.js';

/** Something that waits in a {@link Wheel}. Subclass it: the entry itself is the only object a wait costs. */
export abstract class WheelEntry implements Timer {
  /** @internal */ before: WheelEntry | undefined = undefined;
  /** @internal */ after: WheelEntry | undefined = undefined;
  /** @internal */ slot = -1;
  /** @internal */ wheel: Wheel | undefined = undefined;

  /** @param at - when, on the clock's scale; milliseconds */
  constructor(readonly at: number) {}

  /** Runs once, at or a little after `at`; never before. Must not throw: there is nobody to catch it, and it is dropped. */
  abstract fire(): void;

  /** Takes it out again. */
  cancel(): void {
    this.wheel?.remove(this);
  }
}

const tickMs = 4;
/** A power of two, so that a mask finds the slot of any tick, also of one before zero. */
const slots = 512;
/**
 * Farthest that the platform's timer is set ahead, and so how long it still holds the process when nothing waits any more.
 * To let it hold only while something waits would cost every call of a quiet process more than all the rest.
 */
const strideMs = 20;
/** A timer that is further off may be lost: the platform's were faked when it was set, or are now. */
const lostMs = 100;
const slotOf = (tick: number): number => tick & (slots - 1);

/**
 * One timer for all deadlines: a hashed wheel of 4 ms slots. Adding and removing are a few pointer writes, where a
 * `setTimeout` costs a microsecond; the platform's timer runs only while something waits.
 *
 * What waits here belongs to a call that somebody awaits, so the process is held while anything does, and hardly longer:
 * a script must not end in the middle of a retry, nor wait for deadlines of calls that were answered.
 *
 * Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987, scheme 6.
 */
export class Wheel {
  private readonly heads: (WheelEntry | undefined)[] = new Array(slots).fill(undefined);
  private size = 0;
  private timer: Timer | undefined = undefined;
  private wakeAt = Number.POSITIVE_INFINITY;
  /** The last tick whose slot was emptied. */
  private tick: number;

  constructor(private readonly clock: Clock) {
    this.tick = Math.floor(clock.now() / tickMs);
  }

  /** How many entries wait. */
  get waiting(): number {
    return this.size;
  }

  /**
   * Puts an entry in; one that already waits goes on waiting. `Infinity` waits for ever and is not kept.
   *
   * @param now - for callers that have just read the clock: reading it costs more than all the rest
   */
  add(entry: WheelEntry, now: number = this.clock.now()): void {
    if (!(entry.at < Number.POSITIVE_INFINITY) || entry.wheel !== undefined) return;
    // Rounded up, so that nothing fires early.
    const natural = Math.ceil(entry.at / tickMs);
    if (this.size === 0) {
      // An idle wheel has not followed the clock; without this the first tick would walk all that time.
      this.tick = this.reached(now);
    } else if (natural <= this.tick) {
      // Overdue, or the clock stepped back: then its slot is ahead, and the timer must not wait for the old time.
      this.tick = Math.min(this.tick, this.reached(now));
    }
    const due = Math.max(natural, this.tick + 1);
    this.link(entry, slotOf(due));
    if (due * tickMs < this.wakeAt) this.wake(due);
    // At once, or a process with too much to do would put it off again and again.
    else if (Math.abs(this.wakeAt - now) > lostMs) this.wake(this.reached(now));
  }

  /** Takes an entry out; does nothing if it is not in. The timer is left: it finds nothing and stops by itself. */
  remove(entry: WheelEntry): void {
    if (entry.wheel !== this) return;
    if (entry.before) entry.before.after = entry.after;
    else this.heads[entry.slot] = entry.after;
    if (entry.after) entry.after.before = entry.before;
    entry.before = undefined;
    entry.after = undefined;
    entry.wheel = undefined;
    this.size--;
  }

  private link(entry: WheelEntry, slot: number): void {
    const head = this.heads[slot];
    entry.slot = slot;
    entry.wheel = this;
    entry.after = head;
    if (head) head.before = entry;
    this.heads[slot] = entry;
    this.size++;
  }

  /** The tick that the clock has come to. */
  private reached(now: number): number {
    return Math.floor(now / tickMs);
  }

  private wake(due: number): void {
    this.timer?.cancel();
    const now = this.clock.now();
    this.wakeAt = Math.min(due * tickMs, now + strideMs);
    // As part of no call: what fires belongs to others than the one that is here first, and that one would be kept by it.
    this.timer = runWithoutCall(() => this.clock.after(this.wakeAt - now, this.turn));
    this.timer.hold?.(true);
  }

  private readonly turn = (): void => {
    this.timer = undefined;
    this.wakeAt = Number.POSITIVE_INFINITY;
    const now = this.clock.now();
    const reached = Math.floor(now / tickMs);
    // A clock that stepped back: without this nothing would be looked at until it has caught up.
    if (reached < this.tick) this.tick = reached;
    // After a long pause every slot is visited once, not once per missed tick.
    const from = Math.max(this.tick + 1, reached - slots + 1);
    this.tick = reached;
    for (let tick = from; tick <= reached; tick++) this.expire(slotOf(tick), now);
    this.sleep();
  };

  private expire(slot: number, now: number): void {
    const due: WheelEntry[] = [];
    for (let entry = this.heads[slot]; entry; entry = entry.after) if (entry.at <= now) due.push(entry);
    for (const entry of due) {
      // One that fired before it may have cancelled this one.
      if (entry.wheel !== this) continue;
      this.remove(entry);
      try {
        entry.fire();
      } catch {
        // One that breaks its promise must not keep the others waiting.
      }
    }
  }

  private sleep(): void {
    if (this.size === 0) return;
    for (let ahead = 1; ahead <= slots; ahead++) {
      const due = this.tick + ahead;
      if (this.heads[slotOf(due)] === undefined) continue;
      // What fired may have added an entry of its own, and with it a timer that is later than those that go on waiting.
      if (due * tickMs < this.wakeAt) this.wake(due);
      return;
    }
  }
}

const wheels = new WeakMap<Clock, Wheel>();

/** The wheel that everything on this clock shares. */
export function wheelOf(clock: Clock): Wheel {
  let wheel = wheels.get(clock);
  if (wheel === undefined) {
    wheel = new Wheel(clock);
    wheels.set(clock, wheel);
  }
  return wheel;
}
