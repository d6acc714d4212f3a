import type { Clock, Timer } from '../core/clock.js';

/** What a {@link Watch} looks after. */
export interface Watched {
  /** Whether anybody waits for it. */
  awaited(): boolean;
  /** Asks it something that costs it nothing. */
  ask(): Promise<unknown>;
  /** It went away, or came back. */
  changed(away: boolean): void;
  /** It has been away for long. */
  longAway(): void;
}

/** After a stand-still of this process its timers run before the answers that have come meanwhile are read. */
const graceMs = 20;
/** How often it is looked before the connection is taken for dead. */
const patience = 10;

/**
 * Notices that a store does not answer, and that it does again. Asks only while somebody waits for it or it is away, once
 * in `afterMs`; so it is noticed within twice that time.
 */
export class Watch {
  away = false;
  /** Why, if it said. */
  cause: unknown;
  private timer: Timer | undefined;
  private asked = false;
  private late = false;
  private looks = 0;
  private stopped = false;

  constructor(
    private readonly watched: Watched,
    private readonly clock: Clock,
    private readonly afterMs: number,
  ) {}

  /** Somebody waits. */
  look(): void {
    if (this.timer === undefined && !this.stopped) this.turn();
  }

  /** It said that it cannot. */
  failed(error: unknown): void {
    this.become(true, error);
    this.look();
  }

  stop(): void {
    this.stopped = true;
    this.timer?.cancel();
    this.timer = undefined;
  }

  private turn(): void {
    this.timer = undefined;
    if (this.stopped) return;
    if (this.asked) this.pending();
    else if (this.away || this.watched.awaited()) this.ask();
  }

  private ask(): void {
    this.asked = true;
    this.late = false;
    this.again(this.afterMs);
    let asking: Promise<unknown>;
    try {
      asking = this.watched.ask();
    } catch (error) {
      asking = Promise.reject(error);
    }
    asking.then(
      () => {
        this.asked = false;
        this.become(false, undefined);
      },
      (error: unknown) => {
        this.asked = false;
        this.become(true, error);
      },
    );
  }

  private pending(): void {
    if (this.late) {
      this.become(true, undefined);
      this.looks++;
      if (this.looks % patience === 0) this.watched.longAway();
    }
    this.again(this.late ? this.afterMs : graceMs);
    this.late = true;
  }

  private again(ms: number): void {
    this.timer?.cancel();
    this.timer = this.clock.after(ms, () => this.turn());
  }

  private become(away: boolean, cause: unknown): void {
    if (this.stopped) return;
    if (!away) this.looks = 0;
    this.cause = cause;
    if (away === this.away) return;
    this.away = away;
    this.watched.changed(away);
  }
}
