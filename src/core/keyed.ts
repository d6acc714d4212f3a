import type { RejectionCode } from './errors.js';
import { type Ask, checkGate, countsRatesOnly, type Gate, type Permit } from './gate.js';
import { checkChoice, resolveOptions, wrongKind } from './options.js';

/** Options of {@link keyed}. */
export interface KeyedOptions {
  /**
   * Which part of the call tells keys apart: its operation, its key, or whatever a function makes of it. A call without
   * that part counts under the empty key.
   *
   * @defaultValue `'operation'`
   */
  readonly by?: 'operation' | 'key' | ((ask: Ask | undefined) => string) | undefined;
  /**
   * Most keys that are remembered; a whole number, 1 or more. The least recently used is forgotten. A larger value
   * costs memory, a smaller one forgets what a gate learned.
   *
   * @defaultValue `1000`
   */
  readonly maxKeys?: number | undefined;
}

/** {@link KeyedOptions} with nothing left open. */
export interface KeyedSettings {
  /** Which part of the call tells keys apart. */
  readonly by: 'operation' | 'key' | ((ask: Ask | undefined) => string);
  /** Most keys that are remembered. */
  readonly maxKeys: number;
}

/** Defaults of {@link KeyedOptions}. */
export const keyedDefaults: KeyedSettings = { by: 'operation', maxKeys: 1000 };

interface Entry {
  readonly key: string;
  readonly gate: Gate;
  newer: Entry | undefined;
  older: Entry | undefined;
}

/** Recency as a linked list: moving an entry to the front touches three pointers, where a Map would rehash. */
class Recency {
  private newest: Entry | undefined = undefined;
  private oldest: Entry | undefined = undefined;

  touch(entry: Entry): void {
    if (entry === this.newest) return;
    this.unlink(entry);
    entry.older = this.newest;
    entry.newer = undefined;
    if (this.newest) this.newest.newer = entry;
    this.newest = entry;
    this.oldest ??= entry;
  }

  dropOldest(): Entry | undefined {
    const entry = this.oldest;
    if (entry) this.unlink(entry);
    return entry;
  }

  private unlink(entry: Entry): void {
    if (entry.newer) entry.newer.older = entry.older;
    if (entry.older) entry.older.newer = entry.newer;
    if (entry === this.newest) this.newest = entry.older;
    if (entry === this.oldest) this.oldest = entry.newer;
    entry.newer = undefined;
    entry.older = undefined;
  }
}

/** A gate per key. */
export interface KeyedGate extends Gate {
  /** How many keys are remembered now. */
  readonly size: number;
  /** Forgets all keys and disposes of their gates. A key that is seen later gets a new one. */
  dispose(): void;
}

class Keyed implements KeyedGate {
  private readonly entries = new Map<string, Entry>();
  private readonly recency = new Recency();
  private refuser: Gate | undefined = undefined;

  constructor(
    private readonly make: (key: string) => Gate,
    private readonly keyOf: (ask: Ask | undefined) => string,
    private readonly maxKeys: number,
  ) {}

  get size(): number {
    return this.entries.size;
  }
  get code(): RejectionCode {
    return this.refuser?.code ?? 'OVERLOADED';
  }
  /** As that of calls without a key does, for all come from one maker; if that makes none for them, nobody knows. */
  get countsRatesOnly(): boolean {
    try {
      return countsRatesOnly(this.gateOf(''));
    } catch {
      return false;
    }
  }
  tryAcquire(now: number, ask?: Ask): Permit | null {
    const gate = this.gateOf(this.keyOf(ask));
    const permit = gate.tryAcquire(now, ask);
    if (permit === null) this.refuser = gate;
    return permit;
  }
  retryAfterMs(now: number, ask?: Ask): number | undefined {
    return this.entries.get(this.keyOf(ask))?.gate.retryAfterMs?.(now, ask);
  }
  dispose(): void {
    for (let entry = this.recency.dropOldest(); entry; entry = this.recency.dropOldest()) this.forget(entry);
  }
  private gateOf(key: string): Gate {
    let entry = this.entries.get(key);
    if (entry === undefined) {
      const gate = this.make(key);
      checkGate('keyed: what its function returns', gate);
      entry = { key, gate, newer: undefined, older: undefined };
      this.entries.set(key, entry);
      // A forgotten gate's permits still release against it: only its memory is lost.
      if (this.entries.size > this.maxKeys) this.forget(this.recency.dropOldest());
    }
    this.recency.touch(entry);
    return entry.gate;
  }
  private forget(entry: Entry | undefined): void {
    if (entry === undefined) return;
    this.entries.delete(entry.key);
    try {
      entry.gate.dispose?.();
    } catch {
      // Whoever calls now has another key.
    }
  }
}

const readers = {
  operation: (ask: Ask | undefined): string => ask?.operation ?? '',
  key: (ask: Ask | undefined): string => ask?.key ?? '',
};

/**
 * Keeps one gate per key, made when the key is first seen, bounded: the least recently used is forgotten, its gate
 * disposed of.
 *
 * Use it for a breaker per operation or a rate per tenant. Keys must be of low cardinality or bounded by `maxKeys`
 * on purpose: with raw paths as operations every call would meet a fresh gate.
 *
 * @param make - makes the gate of a key
 * @throws TypeError or RangeError for options that are out of range
 * @example
 * ```ts
 * const perTenant = keyed(() => rate({ perSecond: 10 }), { by: 'key', maxKeys: 50_000 });
 * ```
 */
export function keyed(make: (key: string) => Gate, options?: KeyedOptions): KeyedGate {
  if (typeof make !== 'function')
    throw wrongKind('keyed: the first argument', 'a function that makes a gate, such as () => sre()', make);
  const { by, maxKeys } = resolveOptions('keyed', keyedDefaults, options, {
    maxKeys: { min: 1, integer: true },
  });
  const keyOf = typeof by === 'function' ? by : readers[checkChoice('keyed.by', by, ['operation', 'key'])];
  return new Keyed(make, keyOf, maxKeys);
}
