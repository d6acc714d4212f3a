import type { Endpoint } from '../core/endpoint.js';
import type { Permit } from '../core/gate.js';

/** Measures one endpoint; the balancer only compares. */
export interface LoadMeter {
  /** A call starts. */
  start(now: number): Permit;
  /** The higher, the less it should be picked. Comparable among meters of one kind only. */
  load(now: number): number;
  /** Whether it is fit to be picked at all; without it, always. */
  fit?(now: number): boolean;
}

/** Makes the meter of an endpoint that joined. */
export type Metering = (endpoint: Endpoint, now: number) => LoadMeter;
