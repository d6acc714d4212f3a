import type { Meter, MeterProvider } from '@opentelemetry/api';
import type { Bus } from '../core/events.js';
import { resolveOptions } from '../core/options.js';
import { lazyInstruments } from './open-telemetry.js';

/** Options of {@link governanceMetrics}. */
export interface GovernanceMetricsOptions {
  /**
   * Makes the instruments.
   *
   * @defaultValue the one that is registered globally, looked up at each event
   */
  readonly meterProvider?: MeterProvider | undefined;
}

/** Defaults of {@link GovernanceMetricsOptions}. */
export const governanceMetricsDefaults = { meterProvider: undefined } as const;

/** The latest value per service. Bounded by the services that the process calls. */
class Levels {
  private readonly latest = new Map<string, number>();
  set(service: string, value: number): void {
    this.latest.set(service, value);
  }
  readonly observe = (result: {
    observe(value: number, attributes: { 'keelson.service': string }): void;
  }): void => {
    for (const [service, value] of this.latest) result.observe(value, { 'keelson.service': service });
  };
}

function make(meter: Meter, instances: Levels, stale: Levels) {
  const count = (name: string, description: string) =>
    meter.createCounter(name, { description, unit: '{event}' });
  const known = meter.createObservableGauge('keelson.instances', {
    description: 'Known instances.',
    unit: '{instance}',
  });
  const old = meter.createObservableGauge('keelson.resolver.stale', {
    description: '1 while the last good list of instances is in use for want of a newer one.',
    unit: '1',
  });
  known.addCallback(instances.observe);
  old.addCallback(stale.observe);
  return {
    /** A meter lives as long as the process, and would go on asking an app that is gone. */
    stop(): void {
      known.removeCallback(instances.observe);
      old.removeCallback(stale.observe);
    },
    breakers: count('keelson.breaker.transitions', 'Changes of state of circuit breakers.'),
    shedding: count('keelson.shedding.episodes', 'Times that a limiter began to refuse.'),
    rejected: count('keelson.rejected', 'Requests that were refused before calls were made of them.'),
    ejections: count('keelson.ejections', 'Endpoints that were taken out of the picks.'),
    faults: count('keelson.faults', 'Times that a hook or listener of the user threw.'),
  };
}

/**
 * Counts what is told on a bus: `keelson.breaker.transitions`, `keelson.shedding.episodes`, `keelson.rejected`,
 * `keelson.ejections`, `keelson.faults`; and shows `keelson.instances` and `keelson.resolver.stale` of each service.
 *
 * Use it once for each app or stack. Endpoints are no attribute: with each deployment they would be new series; the
 * events themselves name them.
 *
 * @param bus - of an app or a stack
 * @returns what takes listeners and gauges away
 * @throws TypeError for unknown options
 */
export function governanceMetrics(bus: Bus, options: GovernanceMetricsOptions = {}): () => void {
  const { meterProvider } = resolveOptions<{ readonly meterProvider: MeterProvider | undefined }>(
    'governanceMetrics',
    governanceMetricsDefaults,
    options,
  );
  const instances = new Levels();
  const stale = new Levels();
  let made: ReturnType<typeof make> | undefined;
  const instrumentsOf = lazyInstruments((meter) => {
    made?.stop();
    made = make(meter, instances, stale);
    return made;
  }, meterProvider);
  const stops = [
    bus.on('breaker', ({ service, to }) => {
      instrumentsOf()?.breakers.add(1, { 'keelson.service': service, 'keelson.breaker.state': to });
    }),
    bus.on('shedding', ({ service, shedding }) => {
      if (shedding) instrumentsOf()?.shedding.add(1, { 'keelson.service': service });
    }),
    bus.on('rejected', ({ service, code, count }) => {
      instrumentsOf()?.rejected.add(count, { 'keelson.service': service, 'keelson.rejection.code': code });
    }),
    bus.on('ejection', ({ service, ejected, reason }) => {
      if (ejected)
        instrumentsOf()?.ejections.add(1, { 'keelson.service': service, 'keelson.ejection.reason': reason });
    }),
    bus.on('instances', ({ service, size }) => {
      instances.set(service, size);
      instrumentsOf();
    }),
    bus.on('resolver', (event) => {
      stale.set(event.service, event.stale ? 1 : 0);
      instrumentsOf();
    }),
    bus.on('fault', ({ where }) => {
      instrumentsOf()?.faults.add(1, { 'keelson.fault.where': where });
    }),
  ];
  return () => {
    for (const stop of stops) stop();
    made?.stop();
  };
}
