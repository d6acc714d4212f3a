/** How much of an average a turn or a call outweighs: that of about so many of them is remembered. */
const memory = 64;
/** More than so many times the average of what a turn had to do was something else: a collection, a callback of others. */
const outlier = 10;
/** How much comes in is remembered over so much time at work, and four times that asleep; milliseconds. */
const rateMs = 250;
const asleep = 1 / 4;
/** Little was seen, or long ago: as if for so long nothing had come; milliseconds. */
const priorMs = 20;
/** Of a turn that turns out longer than was foreseen, for each call that began as much again is still to come, halved. */
const lingering = 0.5;
/** Nobody waits for longer than that, whatever the arithmetic says; milliseconds. */
const mostMs = 600_000;

/** An average of what one of something takes, in which the newest count most. */
class Cost {
  private ms = 0;
  private count = 0;

  get value(): number {
    return this.count > 0 ? this.ms / this.count : Number.NaN;
  }
  /** @param share - so many of them, or begun ones, may have had a part in it */
  add(ms: number, count: number, share: number): void {
    const known = this.value;
    // One pause among few calls must not pass for their cost; a cost that really rose gets through in a few steps.
    const believed = known > 0 ? Math.min(ms, outlier * known * Math.max(1, count, share)) : ms;
    // What was done before any of it was finished counts for those that will be.
    const weight = Math.exp(-count / memory);
    this.ms = this.ms * weight + believed;
    this.count = this.count * weight + count;
  }
}

/** What one look at the loop tells. `NaN` for what the platform does not. */
export interface LoopLook {
  readonly now: number;
  readonly idleMs: number;
  readonly events: number;
  readonly waiting: number;
}

/** A clock that stepped back, or tells nothing, counts as no time. */
const since = (now: number, before: number): number => (now > before ? now - before : 0);

/**
 * How much work waits for one thread, from what is known when a turn of its loop is over. A pure machine: it is told
 * numbers and time.
 *
 * While the loop works off what one poll gave it, nobody sees what has come in since; the next poll finds it. So what a
 * poll will find is foreseen: `share × length of the turn before`, where the share is the work that polls found against
 * the time in which it came. Of this the turn works off a millisecond in each millisecond, and `share` of one comes in.
 *
 * Length alone would take a pause for a queue, and the number of events alone knows nothing of what came during a pause.
 * A loop that slept had found nothing; and a turn in which more calls begin than were foreseen is a burst that has only
 * begun to show, of which as much is still to come as has been, or half of that to be careful.
 */
export class BacklogEstimate {
  private readonly event = new Cost();
  private readonly call = new Cost();
  private foundMs = 0;
  private spanMs = 0;
  private lastMs = 0;
  private look: LoopLook = { now: Number.NaN, idleMs: Number.NaN, events: Number.NaN, waiting: Number.NaN };
  private begun = 0;
  private finished = 0;
  private firstAt = Number.NaN;

  /** What one call occupies the thread for, on average, with all that belongs to it; milliseconds, `NaN` before the first. */
  get callMs(): number {
    return this.call.value;
  }

  /** Begins to look, or begins anew after a rest of which nothing is known. */
  begin(look: LoopLook): void {
    this.look = look;
    this.lastMs = 0;
    this.nextTurn();
  }

  /** A call begins in this turn. */
  enter(now: number): void {
    if (this.begun === 0) this.firstAt = now;
    this.begun++;
  }

  /** A call that began has taken nothing: it was refused. */
  undo(): void {
    this.begun = Math.max(0, this.begun - 1);
  }

  /** A call is over. */
  leave(): void {
    this.finished++;
  }

  /**
   * The turn is over.
   *
   * @param inflight - how many calls are under way
   * @returns whether it is worth while to look on: whether there were calls, or the loop had no time to sleep
   */
  turn(look: LoopLook, inflight: number): boolean {
    const before = this.look;
    const served = inflight > 0 || this.begun > 0 || this.finished > 0;
    const counted = !Number.isNaN(look.events - before.events);
    const events = counted ? since(look.events, before.events) : this.begun;
    // The first may be the one that woke the loop.
    const waiting = counted ? since(look.waiting, before.waiting) : Math.max(0, this.begun - 1);
    const busyMs = this.busyMs(look.now, look.idleMs);
    // What is done while there are no calls is done for somebody else; but calls wait for it.
    if (served) {
      this.event.add(busyMs, events, this.begun);
      this.call.add(busyMs, this.finished, this.begun);
    }
    const sleptMs = look.idleMs - before.idleMs;
    const weight = Math.exp(-(this.lastMs + (sleptMs > 0 ? sleptMs * asleep : 0)) / rateMs);
    this.foundMs = this.foundMs * weight + waiting * (this.event.value || 0);
    this.spanMs = this.spanMs * weight + this.lastMs;
    this.lastMs = Math.min(busyMs, mostMs);
    this.look = look;
    this.nextTurn();
    return served || sleptMs === 0;
  }

  /**
   * How long a call that came now would wait, in milliseconds.
   *
   * @param idleMs - how long the loop has slept by now, `NaN` if that is not known
   */
  waitMs(now: number, idleMs: number): number {
    const share = Math.min(1, this.foundMs / (this.spanMs + priorMs));
    const busyMs = this.busyMs(now, idleMs);
    const slept = idleMs > this.look.idleMs;
    const foreseen = (slept ? 0 : share * this.lastMs) - busyMs;
    const burst = this.begun > 1 ? lingering * (this.begun - 1) * this.call.value : 0;
    const ms = Math.max(0, foreseen, burst || 0) + share * busyMs;
    return ms >= 0 ? Math.min(ms, mostMs) : 0;
  }

  /** How long this turn has occupied the thread. */
  private busyMs(now: number, idleMs: number): number {
    const { look } = this;
    const sleptMs = idleMs - look.idleMs;
    if (!Number.isNaN(sleptMs)) return since(now - look.now, Math.max(0, sleptMs));
    return this.begun > 0 ? since(now, this.firstAt) : 0;
  }

  private nextTurn(): void {
    this.begun = 0;
    this.finished = 0;
  }
}
