/**
 * How much of what is too little, or too much, in the loop is made up for at once. More than all of it: what begins now is
 * needed when it comes back from what it waits for, and work that is missing then is lost, while work that is too much waits.
 * With 0.5 handlers that wait for 100 ms leave 8 % of the thread idle, with 2 4 %, with 4 hardly less.
 */
const gain = 2;
/** The loop may be idle for this share of the time while calls wait: else it is not known that there is not too much. */
const idleShare = 0.01;
/** What was begun is taken to be worked off this much faster than it can be, lest the loop run dry by chance. */
const rate = 1.2;
/** Of a long turn, which others than this queue made long, starting calls may take this share of its length. */
const turnShare = 0.5;
/** It is looked again after this at the latest: calls that are answered make room too; milliseconds. */
const mostPauseMs = 5;
/** In less than this a clock may not move at all, and nothing would have changed; milliseconds. */
const leastPauseMs = 1e-6;
/** The length of turns is averaged over about so many. */
const turns = 8;

/** By what a {@link StartPace} is set. */
export interface PaceRules {
  /** Calls start in a turn until they have taken so long; milliseconds. */
  readonly sliceMs: number;
  /** So much of what was begun may be left to do, and the next still starts in the turn in which it came; milliseconds. */
  readonly aheadMs: number;
}

/**
 * When the next call may start, so that the thread always has something to do and calls wait in the queue and not in the
 * loop: there nobody can choose among them any more.
 *
 * A synchronous handler takes its time at once; a turn has a slice for such, and the first call that overdraws it is the
 * last one of the turn. What follows after an `await` takes it later, in whichever turn. While nobody waits, what was begun
 * is taken to be worked off as time passes. Once calls wait, as many are open as keep the loop busy: each millisecond that
 * it idles makes room for more, each by which a turn is longer than the budget makes room for less.
 *
 * A call that waits for somebody else costs nothing meanwhile, but will, and when is not known; so the room is found by
 * trying, as a TCP sender finds its window.
 */
export class StartPace {
  /** How long the last turn was, without what the queue itself started in it; milliseconds. */
  turnMs = 0;
  private usualTurnMs = 0;
  /** What was begun will still take, if the thread works at nothing else; milliseconds. */
  private owedMs = 0;
  private owedAt = Number.NaN;
  /** What started in this turn has taken; milliseconds. */
  private spentMs = 0;
  private spentAt = Number.NaN;
  /** What those that run take besides, each counted until it is answered; milliseconds. */
  private openMs = 0;
  /** How much of that there may be for another to start; `NaN` while nobody waits. */
  private roomMs = Number.NaN;
  private restedAt = Number.NaN;
  private restedBusy = Number.NaN;
  private paceMs = Number.NaN;

  constructor(private readonly rules: PaceRules) {}

  /** What waits in the loop itself, as far as it is known: while calls wait, it is as long as a turn. */
  loopMs(now: number): number {
    this.work(now);
    return Number.isNaN(this.roomMs) ? this.owedMs : Math.min(this.openMs, this.usualTurnMs);
  }

  /** Whether another call may start besides those that run. */
  mayStart(now: number, running: number): boolean {
    const { sliceMs, aheadMs } = this.rules;
    this.pass(now);
    // The first of a turn starts however short the slice.
    if (this.spentMs > 0 && this.spentMs >= Math.max(sliceMs, this.turnMs * turnShare)) return false;
    if (running === 0) return true;
    this.work(now);
    if (!Number.isNaN(this.roomMs)) return this.openMs <= this.roomMs && !(this.owedMs > this.paceMs);
    if (this.owedMs <= aheadMs) return true;
    this.roomMs = Math.max(this.openMs, aheadMs);
    return false;
  }

  /** A call starts. */
  started(now: number): void {
    this.spentAt = now;
  }

  /** Its synchronous part took so long. */
  yielded(ms: number, now: number): void {
    this.spentMs += ms;
    this.spentAt = now;
    // The thread worked at this, and not at what had been begun.
    this.owedAt = now;
  }

  /** It goes on, and will take so much longer. */
  opened(laterMs: number): void {
    this.owedMs += laterMs;
    this.openMs += laterMs;
  }

  /** It is over, and so many run. */
  closed(laterMs: number, running: number, now: number): void {
    // What it took besides was worked off just now: in HTTP/2 a handler may run between two requests of one read, with no
    // turn of the loop between them, and what follows it must wait for that turn as it does after a synchronous one.
    const since = Math.max(0, now - this.spentAt) || 0;
    this.pass(now);
    this.spentMs += Math.min(laterMs, since);
    this.openMs = running === 0 ? 0 : Math.max(0, this.openMs - laterMs);
    if (running === 0) this.owedMs = 0;
  }

  /** Nobody waits any more. */
  clear(): void {
    this.roomMs = Number.NaN;
    this.turnMs = 0;
  }

  /** What may start now has; the loop goes on. @param busyMs - how long the thread was busy since ever, `NaN` if unknown */
  rest(now: number, busyMs: number): void {
    this.restedAt = now;
    this.restedBusy = busyMs;
  }

  /** The loop has turned since: everything readable has been read. */
  turned(now: number, busyMs: number, budgetMs: number): void {
    this.spentMs = 0;
    this.spentAt = now;
    this.paceMs = budgetMs / 2;
    const passedMs = Math.max(0, now - this.restedAt) || 0;
    const busy = Math.max(0, busyMs - this.restedBusy);
    this.turnMs = Number.isNaN(busy) ? passedMs : Math.min(passedMs, busy);
    this.usualTurnMs += (this.turnMs - this.usualTurnMs) / turns;
    if (Number.isNaN(this.roomMs)) return;
    const excessMs = Math.max(0, this.turnMs - budgetMs);
    // What is open takes that long to pass through the loop; until then nothing of a change shows.
    const shown = Math.min(1, this.turnMs / Math.max(this.openMs, this.rules.aheadMs));
    const idleMs = passedMs - this.turnMs - idleShare * passedMs;
    this.roomMs = Math.max(0, this.roomMs + gain * (idleMs - excessMs * shown));
  }

  /** For how long to leave it be: nothing can start; 0 until the next turn. Milliseconds. */
  pauseMs(): number {
    const pace = this.owedMs > this.paceMs ? (this.owedMs - this.paceMs) / rate : 0;
    const room = this.openMs > this.roomMs ? (this.openMs - this.roomMs) / gain : 0;
    const pauseMs = Math.min(Math.max(pace, room), mostPauseMs);
    return pauseMs > 0 ? Math.max(pauseMs, leastPauseMs) : 0;
  }

  /** What passed without a call of ours was the loop's: others were read, or there was nothing to do. */
  private pass(now: number): void {
    const since = now - this.spentAt;
    if (since > 0) this.spentMs = Math.max(0, this.spentMs - since);
    this.spentAt = now;
  }

  private work(now: number): void {
    const passed = now - this.owedAt;
    if (passed > 0) this.owedMs = Math.max(0, this.owedMs - passed * rate);
    this.owedAt = now;
  }
}
