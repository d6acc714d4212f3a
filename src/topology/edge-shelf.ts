import type { EdgeName } from './edge.js';
import type { EdgeTable } from './edge-table.js';
import type { EdgeTally } from './edge-tally.js';

/** The edges between the same two services, by operation. */
export class EdgeShelf {
  private readonly tallies = new Map<string, EdgeTally>();
  /** What was asked for last: mostly it is asked for again, and one comparison is less than the look-up. */
  private last: EdgeTally | undefined = undefined;

  /**
   * @param table - bounds the edges of all shelves
   * @param ends - what its edges have in common
   * @param onSize - told when it gets its first edge, and when it has lost its last
   */
  constructor(
    private readonly table: EdgeTable,
    private readonly ends: Omit<EdgeName, 'operation'>,
    private readonly onSize?: (shelf: EdgeShelf, size: 0 | 1) => void,
  ) {}

  /** The edge to one operation; `other` if there is no room for it. */
  of(operation: string, now: number): EdgeTally {
    const { last } = this;
    if (last !== undefined && last.name.operation === operation) return last;
    const tally = this.tallies.get(operation);
    if (tally === undefined) return this.open(operation, now);
    this.last = tally;
    return tally;
  }

  private open(operation: string, now: number): EdgeTally {
    const { table, tallies, ends } = this;
    const tally = table.enter({ ...ends, operation }, now, () => {
      tallies.delete(operation);
      this.last = undefined;
      if (tallies.size === 0) this.onSize?.(this, 0);
    });
    if (tally === undefined) return table.other(ends.side);
    tallies.set(operation, tally);
    if (tallies.size === 1) this.onSize?.(this, 1);
    return tally;
  }
}

/** Shelves by a name that comes from outside: one is kept only while it has edges, which are bounded. */
export class NamedShelves {
  private readonly shelves = new Map<string, EdgeShelf>();

  /**
   * @param table - bounds the edges of all shelves
   * @param endsOf - what the edges of a name have in common
   */
  constructor(
    private readonly table: EdgeTable,
    private readonly endsOf: (name: string) => Omit<EdgeName, 'operation'>,
  ) {}

  /** The shelf of a name. Not to be kept: ask again for each call. */
  of(name: string): EdgeShelf {
    return this.shelves.get(name) ?? this.make(name);
  }

  private make(name: string): EdgeShelf {
    return new EdgeShelf(this.table, this.endsOf(name), (shelf, size) => {
      if (size === 0) this.shelves.delete(name);
      else this.shelves.set(name, shelf);
    });
  }
}
