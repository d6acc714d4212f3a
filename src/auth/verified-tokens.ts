import type { JwtClaims } from './claims.js';

/** What a verified token says. */
export interface Verified {
  /** Its claims. */
  readonly claims: JwtClaims;
  /** Until when that need not be verified again, on the clock's scale; milliseconds. */
  readonly until: number;
}

/** What verified tokens say, by the header that they came in, for a while: verifying again costs fifty times as much as looking it up. */
export class VerifiedTokens {
  private readonly known = new Map<string, Verified>();

  /** @param most - how many are remembered; the oldest goes first, for all of them end soon anyway */
  constructor(private readonly most: number) {}

  get(header: string, now: number): JwtClaims | undefined {
    const verified = this.known.get(header);
    if (verified === undefined) return undefined;
    if (now < verified.until) return verified.claims;
    this.known.delete(header);
    return undefined;
  }

  keep(header: string, claims: JwtClaims, until: number): void {
    if (this.most === 0) return;
    // Anew, so that it stands at the end.
    this.known.delete(header);
    if (this.known.size >= this.most) {
      const [oldest] = this.known.keys();
      this.known.delete(oldest as string);
    }
    this.known.set(header, { claims, until });
  }
}
