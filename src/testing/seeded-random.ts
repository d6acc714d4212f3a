import type { Random } from '../core/random.js';

/**
 * Random numbers that repeat: the same seed gives the same sequence on every machine.
 *
 * Source: mulberry32 by Tommy Ettinger, public domain; period 2^32, good enough to choose endpoints, not for secrets.
 *
 * @param seed - any whole number
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
