import type { Permit } from '../core/gate.js';
import type { Outcome } from '../core/outcome.js';
import type { LoadMeter, Metering } from './meter.js';

class Inflight implements LoadMeter {
  inflight = 0;

  start(): Permit {
    this.inflight++;
    return new InflightPermit(this);
  }
  load(): number {
    return this.inflight + 1;
  }
}

class InflightPermit implements Permit {
  private open = true;
  constructor(private readonly meter: Inflight) {}
  observe(): void {
    // Only the end of a call changes how many there are.
  }
  release(_outcome: Outcome): void {
    if (!this.open) return;
    this.open = false;
    this.meter.inflight--;
  }
}

const metering: Metering = () => new Inflight();

/**
 * Counts calls in flight and nothing else: with {@link p2c} this is "least request".
 *
 * Use it when calls cost about the same everywhere and endpoints pause now and then: it has no memory that could
 * keep avoiding an endpoint which has recovered. Not where an endpoint may fail fast: it then looks idle, and only
 * {@link outlierEjection} stops it.
 *
 * Source: Envoy, `LEAST_REQUEST` with equal weights.
 */
export function inflightMeter(): Metering {
  return metering;
}
