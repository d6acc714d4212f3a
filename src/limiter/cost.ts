import type { Ask } from '../core/gate.js';

/**
 * How much of a limit a call takes. What is not a finite number, or below zero, is a mistake of the caller and counts as
 * one call.
 */
export function costOf(ask: Ask | undefined): number {
  const cost = ask?.cost;
  return cost !== undefined && cost >= 0 && cost < Number.POSITIVE_INFINITY ? cost : 1;
}
