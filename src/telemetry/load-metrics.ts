import type { MeterProvider } from '@opentelemetry/api';
import type { ServerLoad } from '../core/outcome.js';
import { type Observation, type ObservedInstrument, observe } from './observed.js';

/** What is shown: a server's load, and what it does not tell its clients. */
export interface ShownLoad extends ServerLoad {
  /** Share of the periods of a CPU quota in which the process was held back. */
  readonly throttledRatio?: number;
}

type Field = keyof ShownLoad;
type Gauge = readonly [field: Field, name: string, unit: string, description: string];

const gauges: readonly Gauge[] = [
  ['backlogMs', 'keelson.server.backlog', 's', 'How long a call that came now would wait for the thread.'],
  ['serviceMs', 'keelson.server.service_time', 's', 'What a call occupies the thread for, on average.'],
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
const absent: { readonly [Known in Field]?: number } = { admitRatio: 1, throttledRatio: 0 };

/** Gauges that are shown. */
export type LoadGauges = Observation;

/**
 * Shows how loaded a server is: `keelson.server.backlog` and `keelson.server.service_time` in seconds,
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
  const instruments = Object.fromEntries(
    gauges.map(([field, name, unit, description]) => [field, { kind: 'gauge', name, unit, description }]),
  ) as Record<Field, ObservedInstrument>;
  const attributes = { 'keelson.service': service };
  return observe<Field>(
    {
      instruments,
      read: (tell) => {
        const load = read();
        for (const [field, , unit] of gauges) {
          const value = load[field] ?? absent[field];
          // A load tells milliseconds, and metrics are in seconds, which is what Prometheus asks of them.
          if (value !== undefined) tell(field, unit === 's' ? value / 1000 : value, attributes);
        }
      },
    },
    meterProvider,
  );
}
