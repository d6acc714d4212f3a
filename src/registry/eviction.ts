import type { Random } from '../core/random.js';

/** How many of so many instances one run may evict. */
export function evictionLimit(instances: number, keepRatio: number): number {
  return Math.max(1, instances - Math.floor(instances * keepRatio));
}

/**
 * Draws some of the expired at random, each equally likely. Were they taken in order, one run could wipe out a whole
 * app while others lose none.
 *
 * Source: partial Fisher-Yates shuffle, as in `registry/registry.go` of bilibili/discovery.
 *
 * @param expired - not changed
 * @param limit - how many at most
 */
export function drawVictims<T>(expired: readonly T[], limit: number, random: Random): readonly T[] {
  const pool = [...expired];
  const count = Math.min(limit, pool.length);
  for (let at = 0; at < count; at++) {
    const left = pool.length - at;
    // A random source that answers 1, or worse, must not reach beyond the pool.
    const step = Math.floor(random() * left);
    const next = at + (step >= 0 && step < left ? step : 0);
    const drawn = pool[next] as T;
    pool[next] = pool[at] as T;
    pool[at] = drawn;
  }
  return pool.slice(0, count);
}
