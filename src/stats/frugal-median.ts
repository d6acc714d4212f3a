/** Each sample moves the estimate by this share: 35 samples double it. */
const step = 1.02;

/**
 * A running median in one number: each sample above nudges it up, each below nudges it down. Right to within a few
 * per cent once it has settled, and a comparison and a product per sample.
 *
 * Source: Ma, Muthukrishnan, Sandler, "Frugal Streaming for Estimating Quantiles", 2013 (Frugal-1U), with a step
 * in proportion to the estimate, since latencies span decades.
 */
export class FrugalMedian {
  private estimate = Number.NaN;

  /** The median so far; `NaN` before the first sample. */
  get value(): number {
    return this.estimate;
  }

  /** Takes one sample, above 0; others are passed over. */
  add(sample: number): void {
    if (!(sample > 0)) return;
    if (Number.isNaN(this.estimate)) this.estimate = sample;
    else if (sample > this.estimate) this.estimate *= step;
    else if (sample < this.estimate) this.estimate /= step;
  }
}
