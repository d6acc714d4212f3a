import type { Clock } from '../core/clock.js';
import type { Ask, Gate } from '../core/gate.js';
import type { ServerLoad } from '../core/outcome.js';
import type { BbrLimiter } from '../limiter/bbr.js';
import type { LoadReading } from '../limiter/bbr-options.js';
import type { DispatchQueue } from '../limiter/dispatch-queue.js';
import {
  type BacklogMeter,
  backlogMeter,
  backlogSignal,
  type LoadReport,
  type LoadSignal,
  loadReport,
  loadSignal,
} from '../limiter/load.js';
import { loadMetrics } from '../telemetry/load-metrics.js';

/** How loaded the process of an app is. */
export interface AppLoad extends ServerLoad {
  /** Share of the periods of the container's CPU quota in which the process was held back; absent without a quota. */
  readonly throttledRatio?: number;
}

type Queue = Pick<DispatchQueue, 'backlogMs'>;

/** Measures the load of one process, for all servers of its app: one thread serves them all. */
export class ServerLoadWatch {
  /** How much work waits; started. */
  readonly meter: BacklogMeter;
  /** How busy loop and CPU are; started. */
  readonly signal: LoadSignal;
  private readonly backlog: LoadReading;
  private readonly report: LoadReport;
  private readonly refresh: () => void;
  private readonly stops: (() => void)[];
  private latest: ServerLoad | undefined = undefined;
  /** Limits that go by the backlog, each with what ends that: they may outlive the app. */
  private readonly heeding = new Map<Gate, () => void>();
  /** What waits where the event loop does not see it. */
  private readonly queues = new Set<Queue>();

  /** @param service - which service is loaded, in metrics */
  constructor(
    service: string,
    private readonly clock: Clock,
  ) {
    this.meter = backlogMeter({ queued: () => this.queuedMs() });
    this.signal = loadSignal({ clock });
    this.backlog = backlogSignal(this.meter);
    this.report = loadReport({ meter: this.meter, signal: this.signal });
    const gauges = loadMetrics(service, () => this.load());
    this.refresh = gauges.refresh;
    this.stops = [this.meter.start(), this.signal.start(), gauges.stop];
  }

  /** What answers tell. */
  readonly told = (): ServerLoad => {
    const load = this.report(this.clock.now());
    // Not for each answer.
    if (load !== this.latest) this.refresh();
    this.latest = load;
    return load;
  };

  /** All that is known. */
  load(): AppLoad {
    const { throttledRatio } = this.signal.snapshot();
    return {
      ...this.report(this.clock.now()),
      ...(throttledRatio === undefined ? undefined : { throttledRatio }),
    };
  }

  /** The gates of a server, with what the meter has to hear of its calls. */
  around(limits: readonly Gate[]): readonly Gate[] {
    return [this.meter.gate, ...this.watched(limits)];
  }

  /** The same gates, whose refusals the meter hears of; those that want to know the load hear of it. */
  watched(limits: readonly Gate[]): readonly Gate[] {
    return limits.map((gate) => {
      this.offer(gate);
      return this.meter.watch(gate);
    });
  }

  private offer(gate: Partial<BbrLimiter> & Gate): void {
    if (gate.heed !== undefined && !this.heeding.has(gate)) this.heeding.set(gate, gate.heed(this.backlog));
  }

  /** A request came and was refused before a call was made of it; whoever refused it has told so himself. */
  cameInVain({ priority }: Ask): void {
    const now = this.clock.now();
    this.meter.enter(now, priority);
    this.meter.leave(now, 'unsent');
  }

  /** Another queue of this thread. */
  add(queue: Queue): void {
    this.queues.add(queue);
  }

  private queuedMs(): number {
    const now = this.clock.now();
    let sum = 0;
    for (const queue of this.queues) sum += queue.backlogMs(now);
    return sum;
  }

  stop(): void {
    for (const stop of [...this.heeding.values(), ...this.stops]) stop();
    this.heeding.clear();
  }
}
