import type { Clock } from '../core/clock.js';
import { WheelEntry } from '../core/timer-wheel.js';
import { type Grant, readGrant } from './script.js';

/** Who is told how a question to Redis ended; exactly one of the first two is called, once. */
export interface Asker {
  /** In time. */
  answered(grant: Grant, trip: Trip): void;
  /** No answer in time, or an error. */
  failed(error: unknown): void;
  /** An answer to what had failed already. */
  cameLate(grant: Grant): void;
}

/** Who counts how trips end. */
export interface TripCounter {
  /** Redis is there. */
  reached(): void;
  /** Redis is not there, or too slow. */
  missed(error: unknown): void;
  /** By how much the number of those changes that are over and may be answered yet. */
  owe(change: 1 | -1): void;
}

/** Whether Redis answered, but its key is somebody else's: that says nothing of Redis. Older ones wrap such errors. */
const isForeignKey = (error: unknown): boolean =>
  /\bWRONGTYPE\b/.test(String((error as Error | null)?.message));

/** One question to Redis: over at its answer or when its time is up, whichever is first. */
export class Trip extends WheelEntry {
  private open = true;
  private owed = false;

  constructor(
    readonly sentAt: number,
    private readonly timeoutMs: number,
    private readonly clock: Clock,
    private readonly counter: TripCounter,
    private readonly asker: Asker,
  ) {
    super(sentAt + timeoutMs);
  }

  fire(): void {
    // One more turn of the loop: where the process was busy, not Redis slow, the answer waits in the socket.
    const last = this.clock.after(0, () => this.giveUp());
    last.hold?.(true);
  }

  answer(reply: unknown): void {
    let grant: Grant;
    try {
      grant = readGrant(reply);
    } catch (error) {
      this.fail(error);
      return;
    }
    if (!this.end()) {
      this.settle();
      this.asker.cameLate(grant);
      return;
    }
    this.counter.reached();
    this.asker.answered(grant, this);
  }

  fail(error: unknown): void {
    if (!this.end()) {
      this.settle();
      return;
    }
    if (isForeignKey(error)) this.counter.reached();
    else this.counter.missed(error);
    this.asker.failed(error);
  }

  private giveUp(): void {
    if (!this.open) return;
    this.owed = true;
    this.counter.owe(1);
    this.fail(new Error(`Redis did not answer within ${this.timeoutMs} ms`));
  }

  private settle(): void {
    if (this.owed) this.counter.owe(-1);
    this.owed = false;
  }

  /** @returns whether it was not over yet */
  private end(): boolean {
    const { open } = this;
    this.open = false;
    this.cancel();
    return open;
  }
}
