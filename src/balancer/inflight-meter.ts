import type { LoadMeter, Metering } from './meter.js';

class Inflight implements LoadMeter {
  private inflight = 0;

  start(): void {
    this.inflight++;
  }
  answer(): void {
    // Only the end of a call changes how many there are.
  }
  end(): void {
    this.inflight--;
  }
  load(): number {
    return this.inflight + 1;
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
