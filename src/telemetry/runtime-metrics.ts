import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import process from 'node:process';
import v8 from 'node:v8';
import type { MeterProvider } from '@opentelemetry/api';
import { gcMetrics } from './gc-metrics.js';
import { type Observation, type ObservedInstrument, observe, type Tell } from './observed.js';

/** How often the delay of the event loop is sampled; milliseconds. What Node measures has this in it. */
const resolutionMs = 20;
const nsPerSecond = 1e9;

const delays = {
  min: 'minimum',
  max: 'maximum',
  mean: 'mean',
  stddev: 'standard deviation',
  p50: '50 percentile',
  p90: '90 percentile',
  p99: '99 percentile',
} as const;

type Delay = keyof typeof delays;

const instrumentsOf = () =>
  ({
    ...(Object.fromEntries(
      Object.entries(delays).map(([field, what]) => [
        field,
        {
          kind: 'gauge',
          name: `nodejs.eventloop.delay.${field}`,
          unit: 's',
          description: `Event loop ${what} delay since it was read last.`,
        },
      ]),
    ) as Record<Delay, ObservedInstrument>),
    utilization: {
      kind: 'gauge',
      name: 'nodejs.eventloop.utilization',
      unit: '1',
      description: 'Event loop utilization since it was read last.',
    },
    loopTime: {
      kind: 'counter',
      name: 'nodejs.eventloop.time',
      unit: 's',
      description: 'Cumulative duration of time the event loop has been in each state.',
    },
    heapLimit: {
      kind: 'upDownCounter',
      name: 'v8js.memory.heap.limit',
      unit: 'By',
      description: 'Total heap memory size pre-allocated.',
    },
    heapUsed: {
      kind: 'upDownCounter',
      name: 'v8js.memory.heap.used',
      unit: 'By',
      description: 'Heap memory size allocated.',
    },
    heapAvailable: {
      kind: 'upDownCounter',
      name: 'v8js.memory.heap.space.available_size',
      unit: 'By',
      description: 'Heap space available size.',
    },
    heapPhysical: {
      kind: 'upDownCounter',
      name: 'v8js.memory.heap.space.physical_size',
      unit: 'By',
      description: 'Committed size of a heap space.',
    },
    resident: {
      kind: 'upDownCounter',
      name: 'process.memory.usage',
      unit: 'By',
      description: 'The amount of physical memory in use.',
    },
    cpu: {
      kind: 'counter',
      name: 'process.cpu.time',
      unit: 's',
      description: 'Total CPU seconds broken down by different states.',
    },
    uptime: {
      kind: 'gauge',
      name: 'process.uptime',
      unit: 's',
      description: 'The time the process has been running.',
    },
  }) satisfies Record<string, ObservedInstrument>;

type Key = keyof ReturnType<typeof instrumentsOf>;

/** Reads the runtime of this thread. Samples the event loop from the first look on: nobody who is not asked pays for it. */
class Runtime {
  private delay: IntervalHistogram | undefined = undefined;
  private utilization = performance.eventLoopUtilization();

  readonly read = (tell: Tell<Key>): void => {
    this.tellDelay(tell);
    this.tellLoop(tell);
    tellMemory(tell);
    const { user, system } = process.cpuUsage();
    tell('cpu', user / 1e6, { 'cpu.mode': 'user' });
    tell('cpu', system / 1e6, { 'cpu.mode': 'system' });
    tell('uptime', process.uptime());
  };

  stop(): void {
    this.delay?.disable();
    this.delay = undefined;
  }

  private tellDelay(tell: Tell<Key>): void {
    const { delay } = this;
    if (delay === undefined) {
      this.delay = monitorEventLoopDelay({ resolution: resolutionMs });
      this.delay.enable();
      return;
    }
    if (delay.count === 0) return;
    // Node measures from tick to tick. What is asked for is by how much a tick was late.
    const late = (ns: number): number => Math.max(0, ns / nsPerSecond - resolutionMs / 1000);
    tell('min', late(delay.min));
    tell('max', late(delay.max));
    tell('mean', late(delay.mean));
    tell('stddev', delay.stddev / nsPerSecond);
    tell('p50', late(delay.percentile(50)));
    tell('p90', late(delay.percentile(90)));
    tell('p99', late(delay.percentile(99)));
    delay.reset();
  }

  private tellLoop(tell: Tell<Key>): void {
    const before = this.utilization;
    const now = performance.eventLoopUtilization();
    this.utilization = now;
    const active = now.active - before.active;
    const idle = now.idle - before.idle;
    if (active + idle > 0) tell('utilization', active / (active + idle));
    tell('loopTime', now.active / 1000, { 'nodejs.eventloop.state': 'active' });
    tell('loopTime', now.idle / 1000, { 'nodejs.eventloop.state': 'idle' });
  }
}

function tellMemory(tell: Tell<Key>): void {
  for (const space of v8.getHeapSpaceStatistics()) {
    const attributes = { 'v8js.heap.space.name': space.space_name };
    tell('heapLimit', space.space_size, attributes);
    tell('heapUsed', space.space_used_size, attributes);
    tell('heapAvailable', space.space_available_size, attributes);
    tell('heapPhysical', space.physical_space_size, attributes);
  }
  tell('resident', process.memoryUsage.rss());
}

function begin(meterProvider: MeterProvider | undefined): Observation {
  const runtime = new Runtime();
  const observations = [
    observe<Key>({ instruments: instrumentsOf(), read: runtime.read }, meterProvider),
    gcMetrics(meterProvider),
  ];
  return {
    refresh: () => {
      for (const { refresh } of observations) refresh();
    },
    stop: () => {
      for (const { stop } of observations) stop();
      runtime.stop();
    },
  };
}

interface Shared {
  readonly observation: Observation;
  users: number;
}

// Of the thread, whichever copy of the package was asked: by the provider that is given, or by the global object without one.
const slot = Symbol.for('keelson.runtimeMetrics.v1');
const home = globalThis as { [slot]?: WeakMap<object, Shared> };

/**
 * Shows the runtime of this process by the names of the semantic conventions: delay, utilization and time of the event
 * loop (`nodejs.eventloop.*`), heap (`v8js.memory.heap.*`), pauses for garbage (`v8js.gc.duration`), memory and CPU
 * (`process.memory.usage`, `process.cpu.time`, `process.uptime`).
 *
 * Whoever asks for it shares one set, however many there are: it goes when the last has stopped. Each thread has its own.
 * Not beside `@opentelemetry/instrumentation-runtime-node`, which shows the same names.
 *
 * @param meterProvider - makes the instruments; without it the one that is registered globally
 *
 * Source: OpenTelemetry semantic conventions for Node.js and V8 runtime metrics. We differ in the delay: it is 0 where
 * nothing is late, and not the 10 ms of the sampling interval.
 */
export function runtimeMetrics(meterProvider?: MeterProvider): Observation {
  home[slot] ??= new WeakMap();
  const shown = home[slot];
  const key = meterProvider ?? globalThis;
  let shared = shown.get(key);
  if (shared === undefined) {
    shared = { observation: begin(meterProvider), users: 0 };
    shown.set(key, shared);
  }
  const mine = shared;
  mine.users++;
  let stopped = false;
  return {
    refresh: () => {
      if (!stopped) mine.observation.refresh();
    },
    stop: () => {
      if (stopped) return;
      stopped = true;
      mine.users--;
      if (mine.users > 0) return;
      shown.delete(key);
      mine.observation.stop();
    },
  };
}
