/** How long an address that led here counts: another node may answer there some day. */
const keptMs = 3_600_000;
/** Of how many. */
const maxMet = 64;

/** Addresses under which this node meets itself. Told the time. */
export class OwnAddresses {
  /** The one that it tells others. */
  advertised = '';
  /** When each led here; monotonic milliseconds. */
  private readonly met = new Map<string, number>();

  has(address: string): boolean {
    return address === this.advertised || this.met.has(address);
  }

  /** Who was asked there was this node. */
  meet(address: string, nowMs: number): void {
    this.met.delete(address);
    this.met.set(address, nowMs);
    const [oldest] = this.met.keys();
    if (oldest !== undefined && this.met.size > maxMet) this.met.delete(oldest);
  }

  /** @returns whether there is one that can be tried again */
  expire(nowMs: number): boolean {
    const before = this.met.size;
    for (const [address, metMs] of this.met) if (nowMs - metMs > keptMs) this.met.delete(address);
    return this.met.size < before;
  }
}
