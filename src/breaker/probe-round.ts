/** The few calls that a half-open breaker lets through to find out. */
export class ProbeRound {
  private admitted = 0;
  private passed = 0;
  private failed = 0;
  private lastAt = Number.NEGATIVE_INFINITY;

  /** Nothing admitted, nothing known. */
  begin(): void {
    this.admitted = 0;
    this.passed = 0;
    this.failed = 0;
  }

  /** Takes a place among `places`, if there is one. */
  admit(places: number, now: number): boolean {
    if (this.admitted >= places) return false;
    this.admitted++;
    this.lastAt = now;
    return true;
  }

  /** Whether all places are taken. */
  full(places: number): boolean {
    return this.admitted >= places;
  }

  /** Gives the place back of a probe that says nothing. */
  withdraw(): void {
    this.admitted--;
  }

  /** Counts the result of one probe. */
  count(success: boolean): void {
    if (success) this.passed++;
    else this.failed++;
  }

  /** What the results say, as soon as those still missing cannot change it. */
  verdict(places: number, successRatio: number): 'passed' | 'failed' | undefined {
    // The margin keeps a product such as 0.07 * 100 from asking for one more than is meant.
    const needed = Math.max(1, Math.ceil(successRatio * places - 1e-9));
    if (this.passed >= needed) return 'passed';
    return this.failed > places - needed ? 'failed' : undefined;
  }

  /**
   * When the probes that are still out have to be given up, so that ones that hang do not block for ever: only a
   * full round blocks, so the time runs from the last one admitted.
   */
  givenUpAt(places: number, timeoutMs: number): number {
    // With all of them back there is a verdict, and the round is over.
    return this.full(places) ? this.lastAt + timeoutMs : Number.POSITIVE_INFINITY;
  }

  /** A clock that stepped back starts the wait anew instead of stretching it. */
  notAfter(now: number): void {
    if (now < this.lastAt) this.lastAt = now;
  }
}
