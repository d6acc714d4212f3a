import type { Endpoint } from '../core/endpoint.js';
import type { Random } from '../core/random.js';
import type { Member } from './endpoint-set.js';

/** A random whole number below `count`; whatever the generator returns, it is in range. */
export function indexBelow(count: number, random: Random): number {
  const index = Math.floor(random() * count);
  return index >= 0 && index < count ? index : 0;
}

/** Where draws come from. */
export interface Dice {
  /** A whole number below `count`. */
  below(count: number): number;
  /** Uniform in [0, 1). */
  ratio(): number;
}

/** As it was given. */
export class GivenDice implements Dice {
  constructor(readonly ratio: Random) {}
  below(count: number): number {
    return indexBelow(count, this.ratio);
  }
}

/**
 * A generator of its own for what is drawn at each pick, begun from the given one: `random()` of the platform costs more than all
 * the rest of a draw.
 *
 * Source: G. Marsaglia, "Xorshift RNGs", 2003; 32 bits, shifts 13, 17, 5.
 */
export class QuickDice implements Dice {
  private state: number;

  constructor(random: Random) {
    // Not 0: it would stay there.
    this.state = indexBelow(2 ** 32, random) | 1;
  }
  below(count: number): number {
    return (this.ratio() * count) >>> 0;
  }
  ratio(): number {
    let { state } = this;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.state = state;
    return (state >>> 0) * 2 ** -32;
  }
}

/** The same items in an order of chance (Fisher and Yates). */
export function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last--) {
    const at = indexBelow(last + 1, random);
    const item = order[last] as T;
    order[last] = order[at] as T;
    order[at] = item;
  }
  return order;
}

/** Draws that hit somebody who is not wanted, before it looks for a neighbour instead. */
const redraws = 8;

/**
 * Draws members at random in proportion to their weights, in constant time however many there are.
 *
 * Source: A. J. Walker, "An efficient method for generating discrete random variables with general distributions",
 * 1977, with the table built as in M. D. Vose, 1991. With equal weights there is no table: one multiplication.
 */
export class Draw<M extends Member<Endpoint>> {
  private readonly keep: Float64Array | undefined;
  private readonly alias: Int32Array | undefined;
  /** Whether shares differ. */
  readonly weighted: boolean;

  /**
   * @param members - at least one, or nothing may be drawn
   * @param dice - of whoever draws
   * @param weighted - whether weights count
   */
  constructor(
    private readonly members: readonly M[],
    private readonly dice: Dice,
    weighted: boolean,
  ) {
    const first = members[0]?.weight;
    this.weighted = weighted && members.some(({ weight }) => weight !== first);
    if (!this.weighted) return;
    const count = members.length;
    const total = members.reduce((sum, { weight }) => sum + weight, 0);
    const keep = Float64Array.from(members, ({ weight }) => (weight * count) / total);
    const alias = Int32Array.from(members, (_, at) => at);
    const small: number[] = [];
    const large: number[] = [];
    keep.forEach((share, at) => {
      (share < 1 ? small : large).push(at);
    });
    // Each column is filled up to 1 by somebody who has more than 1 left. What stays at the end is 1 but for rounding.
    for (let poor = small.pop(), rich = large.pop(); poor !== undefined && rich !== undefined; ) {
      alias[poor] = rich;
      const left = (keep[rich] as number) - (1 - (keep[poor] as number));
      keep[rich] = left;
      if (left < 1) small.push(rich);
      else large.push(rich);
      poor = small.pop();
      rich = large.pop();
    }
    this.keep = keep;
    this.alias = alias;
  }

  /** Anybody. */
  any(): M {
    const at = this.dice.below(this.members.length);
    if (this.keep === undefined || this.alias === undefined) return this.members[at] as M;
    return this.members[this.dice.ratio() < (this.keep[at] as number) ? at : (this.alias[at] as number)] as M;
  }

  /** Anybody but one, and but those to avoid; `undefined` when nobody is left. */
  except(other: M | undefined, avoid: ReadonlySet<string> | undefined): M | undefined {
    for (let left = redraws; left > 0; left--) {
      const member = this.any();
      if (member !== other && !avoid?.has(member.endpoint.id)) return member;
    }
    // Those not wanted are most of the set, or a generator repeats itself: the next neighbour, if there is one.
    const { length } = this.members;
    const start = this.dice.below(length);
    for (let step = 0; step < length; step++) {
      const member = this.members[(start + step) % length] as M;
      if (member !== other && !avoid?.has(member.endpoint.id)) return member;
    }
    return undefined;
  }
}
