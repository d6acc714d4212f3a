/** Shortest time over which calls are counted, and fewest of them; milliseconds. */
const spanMs = 100;
const fewest = 20;
/** So many times as long as usual is slow, and so many times as slow and as many as when it began is a jam. */
const slow = 2;
const jammed = 2;
/** So few at once are no crowd. */
const fewAtOnce = 16;
/** Throughput that differs by less than this is the same. */
const same = 1.1;
/** The limit goes up, and down, by so much at a time. */
const up = 1.3;
const down = 0.8;
/** Concurrency pays as long as throughput rises by more than this share of it. */
const pays = 0.5;

/** When calls began to be slow: how many ran, how slow they were, how many had been answered. */
interface Onset {
  readonly crowd: number;
  readonly slowness: number;
  readonly rate: number;
}

/** What one span of time says. */
interface Span {
  /** Calls that were answered, per millisecond. */
  readonly rate: number;
  /** How many were running, on average. */
  readonly running: number;
  /** How much longer they took than usual. */
  readonly slowness: number;
}

/**
 * How many calls may run at once, for what no CPU shows: a pool, a database, another service that answers only so many
 * at a time.
 *
 * There is no limit until calls that have become slow become slower and more, while no more of them are answered: they wait
 * for each other. Of a callee that is slow and takes all, only the first is true. Then the limit is twice what ran when
 * they did not wait, and climbs: up as long as more calls at once mean more answers, down when they mean longer waits
 * alone. Once it is not reached any more, it goes.
 *
 * Source: our own; the Little's law of Netflix' `concurrency-limits` and of BBR, without a shortest time that has to be
 * measured again and again.
 */
export class StartLimit {
  /** Most that may run; `Infinity` while nothing speaks for a limit. */
  limit = Number.POSITIVE_INFINITY;
  /** Calls answered per millisecond in the last span; `NaN` before the first. */
  rate = Number.NaN;
  private startedAt = Number.NaN;
  private answered = 0;
  private tookMs = 0;
  private usualMs = 0;
  private held = false;
  private last: Span | undefined = undefined;
  private calmRate = 0;
  private onset: Onset | undefined = undefined;

  /** @param least - the limit is never below this; `Infinity` for none at all */
  constructor(private readonly least: number) {}

  /** How long a call waits for a place if so many wait before and with it; milliseconds. */
  waitMs(count: number): number {
    return this.limit < Number.POSITIVE_INFINITY && this.rate > 0 ? count / this.rate : 0;
  }

  /** A call could not be started because of the limit. */
  hold(): void {
    this.held = true;
  }

  /** A call was answered so long after its start; usually it is that long. */
  took(ms: number, usualMs: number, at: { readonly now: number; readonly crowd: number }): void {
    const { now, crowd } = at;
    const spent = now - this.startedAt;
    if (!(spent >= 0)) this.begin(now);
    this.answered++;
    this.tookMs += ms;
    this.usualMs += usualMs;
    // Until what was started has been answered twice over: a change has shown by then. What calls usually take does not
    // grow with what they wait for each other, for which a watch would wait as long.
    const roundMs = (this.limit === Number.POSITIVE_INFINITY ? this.usualMs : this.tookMs) / this.answered;
    if (this.answered < fewest || spent < spanMs || spent < 2 * roundMs) return;
    const rate = this.answered / spent;
    const span = {
      rate,
      running: this.tookMs / spent,
      slowness: this.usualMs > 0 ? this.tookMs / this.usualMs : 1,
    };
    this.rate = rate;
    if (this.limit === Number.POSITIVE_INFINITY) this.watch(span, crowd);
    else this.climb(span);
    this.begin(now);
  }

  private watch(span: Span, crowd: number): void {
    const { rate, slowness, running } = span;
    if (!(slowness > slow)) {
      this.calmRate = rate;
      this.onset = undefined;
      return;
    }
    const { onset } = this;
    if (onset === undefined) {
      this.onset = {
        crowd: Math.max(crowd, fewAtOnce / jammed),
        slowness,
        rate: Math.max(rate, this.calmRate),
      };
      return;
    }
    const jam =
      crowd > jammed * onset.crowd && slowness > jammed * onset.slowness && rate < same * onset.rate;
    if (!jam) return;
    this.onset = undefined;
    this.last = undefined;
    this.limit = Math.max(this.least, (2 * running) / slowness);
  }

  private climb(span: Span): void {
    const { last } = this;
    this.last = span;
    if (!this.held) {
      this.limit *= up;
      if (this.limit > 4 * Math.max(this.least, span.running)) this.limit = Number.POSITIVE_INFINITY;
      return;
    }
    const more = last === undefined ? 0 : Math.log(span.running / last.running);
    const gain = last === undefined ? 0 : Math.log(span.rate / last.rate);
    // About as many as before say nothing: fewer will, unless there are hardly any.
    const rises = Math.abs(more) < 0.05 ? this.limit < 1.1 * this.least : gain / more > pays;
    this.limit = rises ? this.limit * up : Math.max(this.least, this.limit * down);
  }

  private begin(now: number): void {
    this.startedAt = now;
    this.answered = 0;
    this.tookMs = 0;
    this.usualMs = 0;
    this.held = false;
  }
}
