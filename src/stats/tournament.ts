/** Places are kept in the last bits of the numbers, which then differ by 2^-32 of themselves at most. */
const mostPlaces = 2 ** 20;
/** As high as can be with a place in its last bits. */
const unbeatable = 1e300;

/**
 * Who has the lowest number, kept up to date: a change replays the matches on its way to the final, `log2 n` of them at
 * most, and asking for the winner costs nothing.
 *
 * A number carries its place in the last bits of its mantissa, so that a match is one comparison of two numbers and needs
 * no second table: this is done twice for each call of a client.
 */
export class Tournament {
  /** Who won each match: the final is at 1, and those who played at `at` had won at `2 at` and `2 at + 1`; the last half are the players. */
  private readonly lowest: Float64Array;
  /** The same as words, from the first on that holds last bits: every other one does. */
  private readonly words: Int32Array;
  private readonly mask: number;
  private readonly others: number;

  /** @param size - how many take part, from 1 to a million; all begin with the number 0 */
  constructor(private readonly size: number) {
    if (!(size >= 1 && size <= mostPlaces)) throw new RangeError(`a tournament of ${size}`);
    this.lowest = new Float64Array(2 * size);
    // The last bits of a double are in its first or in its second half, by the order of bytes of the machine.
    const last = new Int32Array(Float64Array.of(1).buffer)[0] === 0 ? 0 : 1;
    this.words = new Int32Array(this.lowest.buffer, last * Int32Array.BYTES_PER_ELEMENT);
    this.mask = (1 << (32 - Math.clz32(size - 1))) - 1;
    this.others = ~this.mask;
    for (let place = 0; place < size; place++) this.words[2 * (size + place)] = place;
    for (let match = size - 1; match > 0; match--) this.lowest[match] = this.play(match);
  }

  /** The place of the lowest number; of equals, the first. */
  get winner(): number {
    return (this.words[2] as number) & this.mask;
  }

  /** Changes one number. Below 0 is 0; what is no number is as high as can be. */
  set(place: number, number: number): void {
    const { lowest, words } = this;
    let at = (this.size + place) >>> 0;
    lowest[at] = number >= 0 && number < unbeatable ? number : number < 0 ? 0 : unbeatable;
    words[2 * at] = ((words[2 * at] as number) & this.others) | place;
    let low = lowest[at] as number;
    while (at > 1) {
      let other = lowest[at ^ 1] as number;
      if (other < low) {
        low = other;
        // It had won before: above here it makes no difference.
        if (lowest[at >>> 1] === low) return;
      }
      at >>>= 1;
      lowest[at] = low;
      if (at === 1) return;
      // The same again: what a turn of a loop costs here is as much as a match.
      other = lowest[at ^ 1] as number;
      if (other < low) {
        low = other;
        if (lowest[at >>> 1] === low) return;
      }
      at >>>= 1;
      lowest[at] = low;
    }
  }

  private play(match: number): number {
    const left = this.lowest[2 * match] as number;
    const right = this.lowest[2 * match + 1] as number;
    return right < left ? right : left;
  }
}
