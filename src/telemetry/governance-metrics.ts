import type { Meter, MeterProvider } from '@opentelemetry/api';
import { type Clock, systemClock } from '../core/clock.js';
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
  /**
   * Tells the time, for ages.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link GovernanceMetricsOptions}. */
export const governanceMetricsDefaults = { meterProvider: undefined, clock: systemClock } as const;

interface Settings {
  readonly meterProvider: MeterProvider | undefined;
  readonly clock: Clock;
}

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

/** Since when the list of a service is stale. Bounded in the same way. */
class Ages {
  private readonly since = new Map<string, number>();
  constructor(private readonly clock: Clock) {}
  set(service: string, stale: boolean): void {
    const known = this.since.get(service);
    if (!stale) this.since.set(service, Number.NaN);
    else if (known === undefined || Number.isNaN(known)) this.since.set(service, this.clock.now());
  }
  readonly observe = (result: {
    observe(value: number, attributes: { 'keelson.service': string }): void;
  }): void => {
    const now = this.clock.now();
    for (const [service, since] of this.since) {
      const seconds = Number.isNaN(since) ? 0 : Math.max(0, now - since) / 1000;
      result.observe(seconds, { 'keelson.service': service });
    }
  };
}

interface Shown {
  readonly instances: Levels;
  readonly stale: Levels;
  readonly ages: Ages;
}

function make(meter: Meter, { instances, stale, ages }: Shown) {
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
  const age = meter.createObservableGauge('keelson.resolver.age', {
    description:
      'How long the list of instances has been in use without anybody who confirms it; 0 while it is fresh.',
    unit: 's',
  });
  known.addCallback(instances.observe);
  old.addCallback(stale.observe);
  age.addCallback(ages.observe);
  return {
    /** A meter lives as long as the process, and would go on asking an app that is gone. */
    stop(): void {
      known.removeCallback(instances.observe);
      old.removeCallback(stale.observe);
      age.removeCallback(ages.observe);
    },
    breakers: count('keelson.breaker.transitions', 'Changes of state of circuit breakers.'),
    shedding: count('keelson.shedding.episodes', 'Times that a limiter began to refuse.'),
    rejected: count('keelson.rejected', 'Requests that were refused before calls were made of them.'),
    ejections: count('keelson.ejections', 'Endpoints that were taken out of the picks.'),
    registry: count('keelson.registry.events', 'What the registry told, by kind.'),
    faults: count('keelson.faults', 'Times that a hook or listener of the user threw.'),
  };
}

/**
 * Counts what is told on a bus: `keelson.breaker.transitions`, `keelson.shedding.episodes`, `keelson.rejected`,
 * `keelson.ejections`, `keelson.registry.events`, `keelson.faults`; and shows `keelson.instances`, `keelson.resolver.stale`
 * and `keelson.resolver.age` of each service.
 *
 * Use it once for each app or stack. Endpoints are no attribute: with each deployment they would be new series; the
 * events themselves name them.
 *
 * @param bus - of an app or a stack
 * @returns what takes listeners and gauges away
 * @throws TypeError for unknown options
 */
export function governanceMetrics(bus: Bus, options: GovernanceMetricsOptions = {}): () => void {
  const { meterProvider, clock } = resolveOptions<Settings>(
    'governanceMetrics',
    governanceMetricsDefaults,
    options,
  );
  const instances = new Levels();
  const stale = new Levels();
  const ages = new Ages(clock);
  let made: ReturnType<typeof make> | undefined;
  const instrumentsOf = lazyInstruments((meter) => {
    made?.stop();
    made = make(meter, { instances, stale, ages });
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
      ages.set(event.service, event.stale);
      instrumentsOf();
    }),
    bus.on('registry', ({ service, type }) => {
      instrumentsOf()?.registry.add(1, { 'keelson.service': service, 'keelson.registry.event': type });
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
