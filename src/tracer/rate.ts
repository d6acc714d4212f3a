import { TokenBucket } from '../stats/token-bucket.js';

/** So many per second. The rate may be another one each time: what was taken stays taken. */
export class Rate {
  private bucket: TokenBucket | undefined = undefined;
  private perSecond = Number.NaN;

  /** Takes one, if there is one left. */
  take(perSecond: number, now: number): boolean {
    const { bucket } = this;
    const fits = bucket !== undefined && perSecond === this.perSecond;
    return (fits ? bucket : this.fit(perSecond, now)).take(1, now);
  }

  private fit(perSecond: number, now: number): TokenBucket {
    const ceiling = perSecond > 0 ? Math.max(1, perSecond) : 0;
    this.bucket = new TokenBucket(perSecond, ceiling, this.bucket?.level(now));
    this.perSecond = perSecond;
    return this.bucket;
  }
}
