import { resolveOptions } from '../core/options.js';
import type { Feedback, Outcome } from '../core/outcome.js';
import type { LoadMeter, Metering } from './meter.js';

/** Options of {@link responseTime}. */
export interface ResponseTimeOptions {
  /**
   * Time constant of the averages of latency and success; milliseconds, above 0. A larger value is calmer and
   * notices later.
   *
   * @defaultValue `600`
   */
  readonly tauMs?: number | undefined;
  /**
   * How fast an endpoint without calls is forgiven: after this long, half of what made it dear is forgotten;
   * milliseconds, above 0. A larger value avoids an endpoint longer after it was slow or failed. No effect on
   * endpoints with calls in flight.
   *
   * @defaultValue `1000`
   */
  readonly forgiveMs?: number | undefined;
  /**
   * What a failed call costs its caller besides its own time, as if it had been waited for; milliseconds, 0 or more.
   * A larger value keeps calls further away from endpoints that fail.
   *
   * @defaultValue `100`
   */
  readonly failureCostMs?: number | undefined;
  /**
   * Longest wait that an endpoint can ask for (`retry-after`); milliseconds, 0 or more. A larger value trusts the
   * servers more.
   *
   * @defaultValue `10000`
   */
  readonly maxRestMs?: number | undefined;
}

/** Defaults of {@link ResponseTimeOptions}. */
export const responseTimeDefaults = {
  tauMs: 600,
  forgiveMs: 1000,
  failureCostMs: 100,
  maxRestMs: 10_000,
};

/** Load of an endpoint that has calls in flight and never answered one: dearer than any that did. */
const unmeasured = 1e12;
/** Added before the root: below this, differences are the network's and not the endpoint's. */
const networkMs = 5;
/** One failure counts for at least this much, or at thousands of calls a second each would be too small to see. */
const failureWeight = 0.1;
/** An endpoint that only ever failed still has a price. */
const leastHealth = 0.01;

class ResponseTime implements LoadMeter {
  private inflight = 0;
  /** Calls without a first response, and the sum of their starts: their mean age costs one subtraction. */
  private waiting = 0;
  private startedSum = 0;
  private latencyMs = 0;
  /** Whether `latencyMs` comes from answers, or is only known to be exceeded. */
  private measured = false;
  private health = 1;
  private backlogMs = 0;
  private restUntil = Number.NEGATIVE_INFINITY;
  private stampedAt = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: typeof responseTimeDefaults) {}

  start(now: number): void {
    this.inflight++;
    this.waiting++;
    this.startedSum += now;
  }

  load(now: number): number {
    const calls = this.inflight + 1;
    if (!this.measured && this.inflight > 0) return unmeasured * calls;
    if (!this.measured && this.latencyMs === 0) return 0;
    // The benefit of the doubt is for one call at a time: while it is under way, the memory counts in full.
    const { forgiveMs, failureCostMs } = this.options;
    const kept = this.inflight > 0 ? 1 : forgiveMs / (forgiveMs + Math.max(0, now - this.stampedAt));
    const health = 1 - (1 - this.health) * kept;
    const latencyMs = Math.max((this.latencyMs + this.backlogMs) * kept, this.meanAge(now));
    const costMs = (latencyMs + (1 - health) * failureCostMs) / health + this.restMs(now);
    return Math.sqrt(costMs + networkMs) * calls;
  }

  answer(outcome: Outcome, startedAt: number, now: number, feedback?: Feedback): void {
    this.waiting--;
    this.startedSum = this.waiting === 0 ? 0 : this.startedSum - startedAt;
    if (outcome === 'unsent') return;
    const elapsed = Math.max(0, now - startedAt);
    if (outcome === 'ignored') {
      this.raise(elapsed, now);
      return;
    }
    const kept = Math.exp(-Math.max(0, now - this.stampedAt) / this.options.tauMs);
    if (outcome === 'success') {
      const backlogMs = positive(feedback?.load?.backlogMs);
      // What the server itself says of its queue is taken fresh; only the rest of the latency is averaged.
      this.average(Math.max(0, elapsed - backlogMs), kept, now);
      this.backlogMs = backlogMs;
      this.health = this.health * kept + 1 - kept;
      return;
    }
    // A refusal or an error that comes fast says nothing of how long an answer takes; one that comes late does.
    this.raise(outcome === 'failure' ? Math.max(elapsed, networkMs) : networkMs, now);
    this.health = Math.max(leastHealth, this.health * Math.min(kept, 1 - failureWeight));
    const restMs = Math.min(positive(feedback?.retryAfterMs), this.options.maxRestMs);
    this.restUntil = now + Math.max(this.restMs(now), restMs);
  }

  end(): void {
    this.inflight--;
  }

  private restMs(now: number): number {
    const leftMs = this.restUntil - now;
    // More than the longest rest is a clock that stepped back.
    return leftMs > 0 && leftMs <= this.options.maxRestMs ? leftMs : 0;
  }

  /** Mean age of the calls that wait for a first response: what tells of a hung endpoint before any answer. */
  private meanAge(now: number): number {
    return this.waiting === 0 ? 0 : now - this.startedSum / this.waiting;
  }

  private average(sampleMs: number, kept: number, now: number): void {
    this.latencyMs = this.measured ? this.latencyMs * kept + sampleMs * (1 - kept) : sampleMs;
    this.measured = true;
    this.stampedAt = now;
  }

  private raise(atLeastMs: number, now: number): void {
    if (atLeastMs > this.latencyMs) this.latencyMs = atLeastMs;
    this.stampedAt = now;
  }
}

/** What a server reports may be anything. */
function positive(value: number | undefined): number {
  return value !== undefined && value > 0 && value < Number.POSITIVE_INFINITY ? value : 0;
}

/**
 * Least response time: estimates what one more call would cost its caller, from the latency, success and age of the
 * calls before it. The default meter of {@link p2c}.
 *
 * `load = sqrt(cost + 5 ms) * (inflight + 1)`, where `cost = (latency + failures * failureCostMs) / success ratio
 * + what is left of a rest the endpoint asked for`. The root keeps one pause from emptying an endpoint for long.
 * - An endpoint that fails or sheds fast is dear, not fast: each failure counts for at least a tenth.
 * - While calls wait longer than the average, their mean age is the latency: a hung endpoint shows before any timeout.
 * - Without data, the first call goes out at once, and a second one not before the first has answered.
 * - Without calls, what made it dear is forgotten bit by bit; again for one call at a time.
 * - A call that ended as `ignored` after longer than the estimate raises the estimate.
 *
 * For servers that report their backlog (`Feedback.load.backlogMs`), that part of the latency is taken from the last
 * answer instead of the average.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 *
 * Source: the root and the 5 ms are kratos' (`selector/node/ewma`, v3), the decay of an idle endpoint is finagle's
 * `PeakEwma`, the price of failures is linkerd's idea (`load-biaser`). Prediction by mean age replaces kratos' scan of
 * the calls in flight, and benefit of the doubt for one call at a time its constant penalty.
 */
export function responseTime(options?: ResponseTimeOptions): Metering {
  const resolved = resolveOptions('responseTime', responseTimeDefaults, options, {
    tauMs: { above: 0 },
    forgiveMs: { above: 0 },
    failureCostMs: { min: 0 },
    maxRestMs: { min: 0 },
  });
  return () => new ResponseTime(resolved);
}
