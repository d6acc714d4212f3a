/** What {@link BbrWindow} is made of. */
export interface BbrWindowShape {
  /** Length of a bucket; milliseconds. */
  readonly bucketMs: number;
  /** How many complete buckets are remembered. */
  readonly buckets: number;
  /** Over how many buckets passes and rtt are averaged before the best is taken. */
  readonly spanBuckets: number;
  /** Whether buckets under load teach what the shortest rtt is. */
  readonly learnWhenLoaded: boolean;
  /** Rtts and their means are rounded up to a multiple of this; 0 for no rounding. */
  readonly rttStepMs: number;
}

function largest(ring: Float64Array, filled: number): number {
  let best = 0;
  for (let at = 0; at < filled; at++) best = Math.max(best, ring[at] as number);
  return best;
}

function smallest(ring: Float64Array): number {
  let best = Number.POSITIVE_INFINITY;
  for (const value of ring) best = Math.min(best, value);
  return best;
}

/**
 * The two best of a window: most calls passed per bucket, shortest mean rtt. Both are worked out when a bucket closes
 * and stay until the next one does, so that a call costs a few additions.
 *
 * Passes are remembered in real time. Rtts are remembered in *unloaded* time: a bucket under load is passed over and
 * pushes nothing out, so that however long an overload lasts, queueing is never taken for the time a call needs.
 */
export class BbrWindow {
  /** Most calls that passed per bucket, averaged over a span; 0 without data. */
  maxPass = 0;
  /** Shortest mean rtt of a span; `NaN` without data. */
  minRttMs = Number.NaN;
  /** Whether load was seen in the bucket that is being filled. */
  loaded = false;

  private slot = Number.NaN;
  /** When that slot began: a comparison tells that it goes on, where a division would take longer than all the rest. */
  private beganAt = Number.NaN;
  private pass = 0;
  private rtt = 0;

  /** The last complete buckets, as rings. `closed` counts them all; the next goes to `closed % buckets`. */
  private closed = 0;
  private readonly passes: Float64Array;
  private readonly rtts: Float64Array;
  private readonly loads: Uint8Array;
  private readonly spanPasses: Float64Array;
  /** Mean rtts of unloaded spans, a ring of its own; `Infinity` where nothing passed. */
  private readonly means: Float64Array;
  private kept = 0;
  /** Shortest mean under load since there was one without: better than nothing for a service that starts in a flood. */
  private loadedMean = Number.POSITIVE_INFINITY;

  constructor(private readonly shape: BbrWindowShape) {
    const { buckets } = shape;
    this.passes = new Float64Array(buckets);
    this.rtts = new Float64Array(buckets);
    this.loads = new Uint8Array(buckets);
    this.spanPasses = new Float64Array(buckets);
    this.means = new Float64Array(buckets).fill(Number.POSITIVE_INFINITY);
  }

  /** Moves on to `now`. @returns whether a bucket closed, so that the two best may have changed */
  advance(now: number): boolean {
    const { bucketMs } = this.shape;
    const sinceMs = now - this.beganAt;
    if (sinceMs >= 0 && sinceMs < bucketMs) return false;
    const slot = Math.floor(now / bucketMs);
    const passed = slot - this.slot;
    if (passed === 0 || passed === -1) return false;
    // A clock that stepped back further than a late caller explains: this bucket's true length is unknown, it starts anew.
    if (!(passed > 0)) this.empty();
    else if (passed > this.shape.buckets) this.forget();
    else this.turn(passed);
    if (!Number.isNaN(slot)) {
      this.slot = slot;
      this.beganAt = slot * bucketMs;
    }
    return passed > 0;
  }

  /** A call passed. */
  add(cost: number, rttMs: number): void {
    this.pass += cost;
    this.rtt += cost * this.rounded(rttMs);
  }

  private rounded(rttMs: number): number {
    const step = this.shape.rttStepMs;
    return step === 0 ? rttMs : Math.max(1, Math.ceil(rttMs / step)) * step;
  }

  private turn(passed: number): void {
    this.close();
    // While nobody came nobody looked at the load either; what was seen last is taken to have gone on.
    for (let slot = 1; slot < passed; slot++) this.close();
    this.loaded = false;
    this.maxPass = largest(this.spanPasses, Math.min(this.closed, this.shape.buckets));
    const unloaded = smallest(this.means);
    const shortest = unloaded < Number.POSITIVE_INFINITY ? unloaded : this.loadedMean;
    this.minRttMs = shortest < Number.POSITIVE_INFINITY ? shortest : Number.NaN;
  }

  private close(): void {
    const { buckets, spanBuckets, learnWhenLoaded } = this.shape;
    const at = this.closed % buckets;
    this.passes[at] = this.pass;
    this.rtts[at] = this.rtt;
    this.loads[at] = this.loaded ? 1 : 0;
    this.closed++;
    this.pass = 0;
    this.rtt = 0;

    // A stalled event loop finishes many calls at once, in one bucket; over a span that evens out.
    const span = Math.min(spanBuckets, this.closed);
    let pass = 0;
    let rtt = 0;
    let loaded = 0;
    for (let back = 1; back <= span; back++) {
      const bucket = (this.closed - back) % buckets;
      pass += this.passes[bucket] as number;
      rtt += this.rtts[bucket] as number;
      loaded |= this.loads[bucket] as number;
    }
    this.spanPasses[at] = pass / span;
    const mean = pass > 0 ? this.rounded(rtt / pass) : Number.POSITIVE_INFINITY;
    if (loaded === 0 || learnWhenLoaded) this.keep(mean);
    else this.loadedMean = Math.min(this.loadedMean, mean);
  }

  private keep(mean: number): void {
    this.means[this.kept % this.shape.buckets] = mean;
    this.kept++;
    if (mean < Number.POSITIVE_INFINITY) this.loadedMean = Number.POSITIVE_INFINITY;
  }

  private empty(): void {
    this.pass = 0;
    this.rtt = 0;
    this.loaded = false;
  }

  private forget(): void {
    this.empty();
    this.closed = 0;
    this.kept = 0;
    this.means.fill(Number.POSITIVE_INFINITY);
    this.loadedMean = Number.POSITIVE_INFINITY;
    this.maxPass = 0;
    this.minRttMs = Number.NaN;
  }
}
