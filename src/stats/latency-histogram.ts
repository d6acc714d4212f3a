/** Bucket bounds grow by this factor, so a quantile is right to within 10 %. */
const growth = 1.1;
const smallestMs = 0.05;
const logGrowth = Math.log(growth);
/** Up to about 20 minutes. */
const size = 180;
/** Nobody asks for so many different quantiles; whoever computes them anew each time must not fill the memory. */
const mostCached = 16;

/**
 * Quantiles of latencies over the last one to two half-windows, in fixed memory. A sample is two array writes;
 * a quantile walks the buckets and is then kept for `refreshMs`, so the request path stays flat.
 *
 * Two generations take turns: when the younger is older than half the window the elder is forgotten. Cheaper than
 * decaying every bucket, and a change shows after half a window.
 */
export class LatencyHistogram {
  private young = new Uint32Array(size);
  private old = new Uint32Array(size);
  private youngCount = 0;
  private oldCount = 0;
  private turnsAt = Number.NEGATIVE_INFINITY;
  private readonly cache = new Map<number, { value: number; at: number }>();

  /**
   * @param windowMs - what is remembered, between half of it and all of it
   * @param refreshMs - how long a quantile that was read stays as it is
   */
  constructor(
    private readonly windowMs: number,
    private readonly refreshMs: number = windowMs / 20,
  ) {}

  /** Takes one latency in milliseconds. One below 0, or no number, is none: a clock stepped back. */
  add(latencyMs: number, now: number): void {
    this.turn(now);
    if (!(latencyMs >= 0)) return;
    const bucket = Math.ceil(Math.log(latencyMs / smallestMs) / logGrowth);
    const at = bucket > 0 ? Math.min(bucket, size - 1) : 0;
    this.young[at] = (this.young[at] as number) + 1;
    this.youngCount++;
  }

  /** How many samples it remembers. */
  count(now: number): number {
    this.turn(now);
    return this.youngCount + this.oldCount;
  }

  /** The latency that a share `q` of the samples did not exceed; `NaN` without samples. */
  quantile(q: number, now: number): number {
    this.turn(now);
    const known = this.cache.get(q);
    if (known !== undefined && now >= known.at && now - known.at < this.refreshMs) return known.value;
    const value = this.compute(q);
    if (Number.isNaN(value)) return value;
    if (this.cache.size >= mostCached) this.cache.clear();
    this.cache.set(q, { value, at: now });
    return value;
  }

  private compute(q: number): number {
    const total = this.youngCount + this.oldCount;
    if (total === 0) return Number.NaN;
    // The margin keeps a product such as 0.07 * 100 from asking for one sample more than is meant.
    let left = Math.min(total, Math.max(1, q * total - 1e-9));
    let at = -1;
    while (left > 0 && at < size - 1) {
      at++;
      left -= (this.young[at] as number) + (this.old[at] as number);
    }
    return smallestMs * growth ** at;
  }

  private turn(now: number): void {
    const half = this.windowMs / 2;
    // By more than a generation back, the clock was restarted; waiting for it to catch up could take for ever.
    const restarted = now < this.turnsAt - 2 * half;
    if (!(now >= this.turnsAt || restarted)) return;
    const lapsed = restarted || now - this.turnsAt >= half;
    const spare = this.old;
    this.old = this.young;
    this.oldCount = this.youngCount;
    spare.fill(0);
    this.young = spare;
    this.youngCount = 0;
    if (lapsed) {
      this.old.fill(0);
      this.oldCount = 0;
    }
    this.turnsAt = now + half;
  }
}
