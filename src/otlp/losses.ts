import type { Clock, Timer } from '../core/clock.js';
import { runWithoutCall, type Surroundings, surroundings } from '../core/current.js';
import { plainText } from './plain-text.js';

/** Why a span that was to be exported never arrived. */
export type LossReason =
  /** The memory for telemetry was full, and there was no spool, or its disk was slower. */
  | 'queue_full'
  /** The collector answered with an error that is not to be tried again and does not say that the data is bad. */
  | 'export_failed'
  /** It was tried for as long as it may. */
  | 'retry_exhausted'
  /** The collector did not want it: 400, or a part that it said it did not take. */
  | 'rejected'
  /** It alone is larger than the limit, or than what the collector takes. */
  | 'too_large'
  /** It came after the end, or was still there at the end, with no spool to take it. */
  | 'shutdown'
  /** The spool was full and its oldest files made room, or it could not be written. */
  | 'spool_full'
  /** A file of the spool was half written or damaged, by a process or a machine that stopped in the middle. */
  | 'spool_torn';

/** Spans lost, by reason. */
export type LossCounts = Readonly<Record<LossReason, number>>;

/** What {@link Losses} needs. */
export interface LossesInit {
  /** What is counted, in the plural. */
  readonly what: string;
  readonly clock: Clock;
  /** Least time between two lines; milliseconds. */
  readonly intervalMs: number;
  /** Takes a line. */
  readonly warn: (message: string) => void;
  /** What is lost elsewhere, by reason, since the start: told in the same line. */
  readonly elsewhere?: (() => Readonly<Record<string, number>>) | undefined;
}

/** Losses come together; a line that waits a little can tell of all of them. */
const gatherMs = 1_000;

const none: LossCounts = {
  queue_full: 0,
  export_failed: 0,
  retry_exhausted: 0,
  rejected: 0,
  too_large: 0,
  shutdown: 0,
  spool_full: 0,
  spool_torn: 0,
};

/** Counts every span that is lost, and says so once an interval: nothing gets lost in silence. */
export class Losses {
  /** Whoever's span is lost must not be kept by what then begins. */
  private readonly home: Surroundings = runWithoutCall(surroundings);
  private readonly lost: Record<LossReason, number> = { ...none };
  private told: Readonly<Record<string, number>> = {};
  private why = '';
  private toldAt = Number.NEGATIVE_INFINITY;
  private timer: Timer | undefined;
  private watching: Timer | undefined;

  constructor(private readonly init: LossesInit) {}

  /** So far. */
  get counts(): LossCounts {
    return { ...this.lost };
  }

  /** The same, with what was lost elsewhere. */
  get all(): Readonly<Record<string, number>> {
    const all: Record<string, number> = this.counts;
    for (const [reason, spans] of Object.entries(this.init.elsewhere?.() ?? {}))
      all[reason] = (all[reason] ?? 0) + spans;
    return all;
  }

  /** @param why - what the collector or the system said */
  add(reason: LossReason, spans: number, why?: string): void {
    if (!(spans > 0)) return;
    this.lost[reason] += spans;
    if (why !== undefined) this.why = why;
    this.soon();
  }

  /** Says what has not been said. */
  tell(): void {
    this.timer?.cancel();
    this.timer = undefined;
    const { all } = this;
    const parts: string[] = [];
    let sum = 0;
    for (const [reason, lost] of Object.entries(all)) {
      const spans = lost - (this.told[reason] ?? 0);
      if (!(spans > 0)) continue;
      parts.push(`${reason} ${spans}`);
      sum += spans;
    }
    if (sum === 0) return;
    this.told = all;
    this.toldAt = this.init.clock.now();
    const why = this.why === '' ? '' : `; last: ${plainText(this.why)}`;
    this.why = '';
    try {
      this.init.warn(`keelson: ${sum} ${this.init.what} lost (${parts.join(', ')})${why}`);
    } catch {
      // Whoever prints must not break what counts.
    }
  }

  /** The same for the last time. */
  close(): void {
    this.tell();
    this.watching?.cancel();
  }

  /** From now on looks once an interval for what was lost elsewhere, of which nobody tells. */
  watch(): void {
    const { clock, intervalMs } = this.init;
    this.home.runInAsyncScope(() => {
      this.watching = clock.after(intervalMs, () => {
        this.watch();
        this.soon();
      });
    });
  }

  /** Says it when the interval is over, and not before others that came with it are counted too. */
  private soon(): void {
    if (this.timer !== undefined) return;
    const { clock, intervalMs } = this.init;
    const waitMs = Math.max(gatherMs, this.toldAt + intervalMs - clock.now());
    this.home.runInAsyncScope(() => {
      this.timer = clock.after(Math.min(waitMs, intervalMs), () => this.tell());
    });
  }
}
