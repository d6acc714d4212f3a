import type { Meter, MeterProvider, ObservableResult } from '@opentelemetry/api';
import type { ServerLoad } from '../core/outcome.js';
import { lazyInstruments } from './open-telemetry.js';

/** What is shown: a server's load, and what it does not tell its clients. */
export interface ShownLoad extends ServerLoad {
  /** Share of the periods of a CPU quota in which the process was held back. */
  readonly throttledRatio?: number;
}

type Gauge = readonly [field: keyof ShownLoad, name: string, unit: string, description: string];

const gauges: readonly Gauge[] = [
  ['backlogMs', 'keelson.server.backlog', 'ms', 'How long a call that came now would wait for the thread.'],
  ['serviceMs', 'keelson.server.service_time', 'ms', 'What a call occupies the thread for, on average.'],
  ['inflight', 'keelson.server.inflight', '{call}', 'Calls in flight.'],
  [
    'cpuRatio',
    'keelson.server.utilization',
    '1',
    'How busy the event loop or the CPU is, the higher of the two.',
  ],
  ['admitRatio', 'keelson.server.admitted', '1', 'Share of the calls of default priority that is let in.'],
  [
    'throttledRatio',
    'keelson.server.throttled',
    '1',
    'Share of the periods in which the CPU quota held it back.',
  ],
];

/** Of these, what is absent means all and none. */
const absent: { readonly [Field in keyof ShownLoad]?: number } = { admitRatio: 1, throttledRatio: 0 };

/** Gauges that are shown. */
export interface LoadGauges {
  /** Shows them to an SDK that was registered since; to be called now and then. */
  readonly refresh: () => void;
  /** Takes them away. */
  readonly stop: () => void;
}

/**
 * Shows how loaded a server is: `keelson.server.backlog` and `keelson.server.service_time` in milliseconds,
 * `keelson.server.inflight`, `keelson.server.utilization`, `keelson.server.admitted`, `keelson.server.throttled`.
 *
 * @param service - which service is loaded
 * @param read - tells the load when a reader collects
 * @param meterProvider - makes the instruments; without it the one that is registered globally
 */
export function loadMetrics(
  service: string,
  read: () => ShownLoad,
  meterProvider?: MeterProvider,
): LoadGauges {
  let remove: (() => void) | undefined;
  const make = (meter: Meter): (() => void) => {
    remove?.();
    const removals = gauges.map(([field, name, unit, description]) => {
      const gauge = meter.createObservableGauge(name, { unit, description });
      const observe = (result: ObservableResult): void => {
        const value = read()[field] ?? absent[field];
        if (value !== undefined) result.observe(value, { 'keelson.service': service });
      };
      gauge.addCallback(observe);
      return () => gauge.removeCallback(observe);
    });
    remove = () => {
      for (const removal of removals) removal();
    };
    return remove;
  };
  const instruments = lazyInstruments(make, meterProvider);
  instruments();
  let stopped = false;
  return {
    refresh: () => {
      if (!stopped) instruments();
    },
    stop: () => {
      stopped = true;
      remove?.();
    },
  };
}
