import type { Permit } from '../core/gate.js';

/** Measures one endpoint; the balancer only compares. */
export interface LoadMeter {
  /** A call starts. */
  start(now: number): Permit;
  /** The higher, the less it should be picked. Comparable among meters of one kind only. */
  load(now: number): number;
}
