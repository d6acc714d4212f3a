/**
 * How loaded this process is. As one number: event loop, CPU against the container's quota, throttling. And in
 * milliseconds: how much work waits for this thread. For limiters, and for whoever reports load to others.
 *
 * @module
 */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { type Clock, systemClock } from '../core/clock.js';
import { resolveOptions } from '../core/options.js';
import type { LoadHost, LoopTimes } from './load-host.js';
import { type LoadSource, LoadWatch, type WatchSettings } from './load-watch.js';

export {
  type BacklogMeter,
  type BacklogMeterOptions,
  type BacklogSnapshot,
  backlogMeter,
  backlogMeterDefaults,
} from './backlog.js';
export { type BacklogHost, type LoopEvents, nodeBacklogHost } from './backlog-host.js';
export { type BacklogSignalOptions, backlogSignal, backlogSignalDefaults } from './backlog-signal.js';
export { type LoadReport, type LoadReportParts, loadReport } from './load-report.js';
export type { LoadHost, LoadSource, LoopTimes };

/** Options of {@link loadSignal}. */
export interface LoadSignalOptions {
  /**
   * How often the event loop is looked at; milliseconds, above 0. A larger value costs less and notices later.
   *
   * @defaultValue `100`
   */
  readonly intervalMs?: number | undefined;
  /**
   * How often CPU time is looked at; milliseconds, above 0, in effect at least `intervalMs`. It means reading two to
   * five small files of the kernel, together well under 0.1 ms. Below 200 the periods of a quota, 100 ms each, show
   * as noise.
   *
   * @defaultValue `500`
   */
  readonly cpuIntervalMs?: number | undefined;
  /**
   * Time constant of the moving averages; milliseconds, above 0. A larger value is calmer and later: after a step
   * from 0.6 to 1 the signal passes 0.8 after 0.7 times this.
   *
   * @defaultValue `150`
   */
  readonly smoothingMs?: number | undefined;
  /**
   * Event loop delay that counts as load 1; milliseconds, above 0, `Infinity` to leave delay out. A larger value
   * forgives longer blocks of the loop.
   *
   * @defaultValue `200`
   */
  readonly fullDelayMs?: number | undefined;
  /**
   * How many CPUs the process may use, where neither control group nor machine tells: sandboxes such as Kata. Above 0.
   *
   * @defaultValue `undefined`
   */
  readonly cpus?: number | undefined;
  /**
   * Tells the time and wakes the signal up.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
  /**
   * Where the numbers come from.
   *
   * @defaultValue `nodeHost`
   */
  readonly host?: LoadHost | undefined;
}

/** This process, this thread's event loop, this machine. */
export const nodeHost: LoadHost = {
  readFile: (path) => readFileSync(path, 'utf8'),
  eventLoop: () => performance.eventLoopUtilization(),
  processCpuMs() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  cpus: () => availableParallelism(),
};

/** Defaults of {@link LoadSignalOptions}. */
export const loadSignalDefaults = {
  intervalMs: 100,
  cpuIntervalMs: 500,
  smoothingMs: 150,
  fullDelayMs: 200,
  cpus: undefined,
  clock: systemClock,
  host: nodeHost,
} as const satisfies LoadSignalOptions;

/** What a {@link LoadSignal} saw last, each number of the last interval, not smoothed. */
export interface LoadSnapshot {
  /** The signal: smoothed, the highest of all. */
  readonly value: number;
  /** Share of time in which the event loop was busy. `undefined` while not known, as below. */
  readonly eventLoopUtilization: number | undefined;
  /** How late the signal's own timer ran; milliseconds. */
  readonly eventLoopDelayMs: number | undefined;
  /** CPU time used against usable: of the control group if it has a quota, else of the process. */
  readonly cpuRatio: number | undefined;
  /** Share of the quota's periods in which the process was held back; 0 without a quota. */
  readonly throttledRatio: number | undefined;
  /** How many CPUs may be used, after quota and CPU set. */
  readonly cpus: number | undefined;
  /** What it uses here. Empty before the first start. */
  readonly sources: readonly LoadSource[];
}

/** How loaded this process is. Made idle; whoever made it starts and stops it. */
export interface LoadSignal {
  /** 0 is idle, 1 is saturated. 0 while not started: a number that stands still must not make anybody refuse. */
  readonly value: number;
  /** Starts looking; if it already does, nothing changes. Its timer never holds the process. @returns `stop` */
  start(): () => void;
  /** Stops looking. */
  stop(): void;
  /** All that it knows. */
  snapshot(): LoadSnapshot;
}

class Signal implements LoadSignal {
  private watch: LoadWatch | undefined;
  constructor(private readonly settings: WatchSettings) {}

  get value(): number {
    return this.watch?.value ?? 0;
  }
  start(): () => void {
    this.watch ??= new LoadWatch(this.settings);
    const { watch } = this;
    // Of this run only: one that was started since is somebody else's.
    return () => {
      if (this.watch === watch) this.stop();
    };
  }
  stop(): void {
    this.watch?.stop();
    this.watch = undefined;
  }
  snapshot(): LoadSnapshot {
    const { watch } = this;
    return {
      value: this.value,
      eventLoopUtilization: watch?.loop.utilization,
      eventLoopDelayMs: watch?.delayMs,
      cpuRatio: watch?.cpu.cpuRatio,
      throttledRatio: watch?.cpu.throttledRatio,
      cpus: watch?.cpu.cpus,
      sources: watch?.sources ?? [],
    };
  }
}

/**
 * Says how loaded this process is, for `bbr`: the highest of how busy the event loop is, how late it is, and
 * how much of its CPU quota the container uses.
 *
 * One Node thread saturates one core, so the CPU of a machine or of an 8-core container says next to nothing: at 1/8
 * the loop is full. Therefore the loop's utilization counts, interval by interval. CPU still matters for what the loop
 * does not see, worker threads, libuv's pool, other processes in the container: with a CPU quota it is measured of the
 * whole control group, because that is what the kernel holds back; and being held back counts as load, for a quota of
 * half a core stalls a loop that is not full. Without a quota, and where there are no control groups (macOS, Windows),
 * it is this process against the CPUs it may use: what neighbours burn is none of its doing.
 * {@link LoadSnapshot.sources} tells what is in use; nothing of this ever throws.
 *
 * Make one per thread and process and start it where the server starts. It is a detector, not a measure of how far
 * above its capacity a server is: a busy loop reads 1 at any overload. In a worker it sees the worker's own loop.
 *
 * @param options - how often, how smooth, with whose numbers
 * @throws TypeError or RangeError at construction for options that are out of range
 * @example
 * ```ts
 * const load = loadSignal();
 * const stop = load.start();
 * const limiter = bbr({ load });
 * server.once('close', stop);
 * ```
 *
 * Source: the idea of a smoothed CPU signal is that of go-kratos/aegis `internal/cpu`. We differ: its average takes
 * 8 s and more to notice an overload, and is cut to whole numbers on the way; it reads the control group of the
 * mount's root; and it knows no event loop.
 */
export function loadSignal(options?: LoadSignalOptions): LoadSignal {
  const settings = resolveOptions<WatchSettings>('loadSignal', loadSignalDefaults, options, {
    intervalMs: { above: 0 },
    cpuIntervalMs: { above: 0 },
    smoothingMs: { above: 0 },
    fullDelayMs: { above: 0, infinite: true },
    cpus: { above: 0 },
  });
  return new Signal(settings);
}
