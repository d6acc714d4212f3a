import type { Random } from '../core/random.js';

/** Learned nodes that are kept at most: what a reply may make us remember has to end somewhere. */
const maxLearned = 64;

function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result = [...items];
  for (let at = result.length - 1; at > 0; at--) {
    const other = Math.min(at, Math.floor(random() * (at + 1)));
    [result[at], result[other]] = [result[other] as T, result[at] as T];
  }
  return result;
}

/**
 * Which node of a registry to ask: one until it fails, then the next. Learned nodes come first, in an order of this
 * process's own, so that clients spread; the seeds follow, so that they help when everything learned is gone.
 *
 * The answers of different nodes never mix: whoever asks names the node that failed, and one failure seen by two
 * moves once.
 */
export class NodeRing {
  private readonly seeds: readonly string[];
  private learned: readonly string[] = [];
  private nodes: readonly string[];
  private at = 0;

  /** @param seeds - base URLs without a trailing slash; at least one */
  constructor(
    seeds: readonly string[],
    private readonly random: Random,
  ) {
    this.seeds = shuffled([...new Set(seeds)], random);
    this.nodes = this.seeds;
  }

  /** The node to ask now. */
  get current(): string {
    return this.nodes[this.at] as string;
  }
  /** How many there are. */
  get size(): number {
    return this.nodes.length;
  }

  /** A node did not answer as it should. */
  failed(node: string): void {
    if (node === this.current) this.at = (this.at + 1) % this.nodes.length;
  }

  /** Goes on to another node for the sake of an even spread, a learned one if any is known. */
  rotate(): void {
    this.at = (this.at + 1) % (this.learned.length || this.nodes.length);
  }

  /** Replaces what was learned. The current node stays while it is known at all; an empty list changes nothing. */
  learn(nodes: readonly string[]): void {
    const found = [...new Set(nodes)].slice(0, maxLearned);
    const same = found.length === this.learned.length && found.every((node) => this.learned.includes(node));
    if (found.length === 0 || same) return;
    const { current } = this;
    this.learned = shuffled(found, this.random);
    this.nodes = [...this.learned, ...this.seeds.filter((seed) => !found.includes(seed))];
    this.at = Math.max(0, this.nodes.indexOf(current));
  }
}
