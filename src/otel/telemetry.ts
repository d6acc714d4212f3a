import type { Context } from '@opentelemetry/api';
import { inNameOf } from '../core/in-name-of.js';
import type { Exposed } from '../meter/exposition.js';
import type { MetricData } from '../meter/metric-data.js';
import { propagator } from '../telemetry/propagator.js';
import { contextStorage } from '../tracer/context-storage.js';
import type { SamplingOptions } from '../tracer/sampling.js';
import { atExit } from './at-exit.js';
import { EndFlush } from './exit-flush.js';
import {
  isRegistered,
  type Registration,
  registeredVersion,
  registerGlobals,
  type Signal,
} from './global-registration.js';
import { type MetricPipeline, metricPipeline } from './metric-pipeline.js';
import { processResource } from './process-resource.js';
import { selfMetrics } from './self-metrics.js';
import { type Losses, type SpanPipeline, spanPipeline } from './span-pipeline.js';
import { type TelemetryOptions, type TelemetrySettings, telemetrySettings } from './telemetry-options.js';

/**
 * Whose spans and metrics the process uses: `own` are ours; `adopted` somebody else's, an SDK that was registered before or
 * since; `off`: nobody asked for any.
 */
export type SignalState = 'own' | 'adopted' | 'off';

/** What was built, from the first span to the last byte. */
export interface Telemetry {
  /** Logical name of this service. */
  readonly service: string;
  /** Whose spans the process uses. */
  readonly traces: SignalState;
  /** Whose metrics. */
  readonly metrics: SignalState;
  /**
   * Chooses traces differently from now on; what is left out is as by default.
   *
   * @throws TypeError or RangeError for options that cannot work
   */
  setSampling(sampling: SamplingOptions): void;
  /**
   * Keeps a trace that was not kept, as long as it is remembered.
   *
   * @returns how many of its spans were still there
   */
  flushTrace(traceId: string): number;
  /** What has been measured so far. */
  collect(): Promise<readonly MetricData[]>;
  /**
   * The same as text.
   *
   * @param accept - header of whoever asks: Prometheus text or OpenMetrics
   */
  metricsText(accept?: string): Promise<Exposed>;
  /** Spans that were to be sent and are lost, by reason. */
  losses(): Losses;
  /** Resolves once what was recorded so far has left, or after `shutdownTimeoutMs`; never rejects. */
  flush(): Promise<void>;
  /** The same, and records nothing from then on; a second call joins the first. */
  shutdown(): Promise<void>;
  /** The same as `shutdown`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** With what only our own programs ask for. */
export interface OwnTelemetry extends Telemetry {
  /** Grows with all that is recorded, spans and measurements. */
  readonly recorded: number;
}

/** What is said when somebody else has registered, or does. */
const sayings = {
  before: {
    trace:
      'an OpenTelemetry SDK is registered already, and makes the spans; those of keelson go to it, and `endpoint`, `exporter` and `sampling` of telemetry() have no effect',
    metrics:
      'an OpenTelemetry MeterProvider is registered already, and measures; the metrics of keelson go to it, and `metrics` of telemetry() has no effect',
  },
  since: {
    trace:
      'an OpenTelemetry SDK was registered after keelson, and makes the spans from now on; to have it so from the start, register it before telemetry() or leave telemetry() and keelson/register out',
    metrics:
      'an OpenTelemetry MeterProvider was registered after keelson, and measures from now on; what was measured so far was sent once more and is not counted on; to have it so from the start, register it before telemetry() or leave `metrics` out',
  },
} as const;

function mismatch(): string {
  return `@opentelemetry/api ${registeredVersion()} was used first in this process, and is another copy than the one that keelson resolves; they do not fit, so nothing can be registered and nothing is traced; install one @opentelemetry/api`;
}

/** What is left of the time to shut down for metrics, also when the spans take all that they may; milliseconds. */
const lastPushMs = 1_000;

class ProcessTelemetry implements OwnTelemetry {
  readonly service: string;
  private readonly spans: SpanPipeline | undefined;
  private readonly measures: MetricPipeline | undefined;
  private readonly registration: Registration | undefined;
  private readonly contexts = contextStorage();
  private readonly end: EndFlush | undefined;
  private readonly leaveExit: () => void;
  private closing: Promise<void> | undefined;
  /** Metrics that somebody else goes on with: told any longer they would stand still for ever. */
  private over = false;

  constructor(private readonly settings: TelemetrySettings) {
    this.service = settings.service;
    const { service, version, instance, resource: attributes, register } = settings;
    const resource = processResource({ service, version, instance, attributes });
    // Neither builds what nobody could reach: an SDK that is there already has both.
    this.spans =
      register && isRegistered('trace') ? undefined : spanPipeline(settings, resource, this.ownActive());
    this.measures = register && isRegistered('metrics') ? undefined : metricPipeline(settings, resource);
    if (this.spans !== undefined && this.measures !== undefined)
      selfMetrics(this.measures.meters, this.spans);
    if (register) this.tellOfOther();
    this.registration = register && this.isUsed ? this.registered() : undefined;
    this.end = this.isUsed ? this.endFlush() : undefined;
    const { spans, measures } = this;
    const hasToLose = spans !== undefined || measures?.exporter !== undefined;
    this.leaveExit = hasToLose ? atExit(() => this.salvage()) : () => undefined;
  }

  get traces(): SignalState {
    return this.stateOf('trace', this.spans !== undefined);
  }

  get metrics(): SignalState {
    return this.stateOf('metrics', this.measures !== undefined);
  }

  setSampling(sampling: SamplingOptions): void {
    inNameOf({ 'tracers.sample': 'setSampling' }, () => this.spans?.tracers.sample(sampling));
  }

  flushTrace(traceId: string): number {
    return this.spans?.tracers.flushTrace(traceId) ?? 0;
  }

  async collect(): Promise<readonly MetricData[]> {
    return this.over ? [] : (this.measures?.meters.collect() ?? []);
  }

  async metricsText(accept?: string): Promise<Exposed> {
    const { measures } = this;
    if (measures === undefined || this.over)
      return { contentType: 'text/plain; version=0.0.4; charset=utf-8', body: '' };
    return measures.text.render(await measures.meters.collect(), accept);
  }

  losses(): Losses {
    return this.spans?.losses() ?? {};
  }

  async flush(): Promise<void> {
    return this.closing ?? this.end?.flush();
  }

  shutdown(): Promise<void> {
    this.closing ??= this.close();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  get recorded(): number {
    return (this.spans?.tracers.counts.delivered ?? 0) + (this.measures?.meters.recorded ?? 0);
  }

  private salvage(): void {
    this.spans?.salvage();
    this.measures?.exporter?.salvage();
  }

  private endFlush(): EndFlush {
    const { spans, measures, settings } = this;
    const { shutdownTimeoutMs: timeoutMs, clock } = settings;
    const recorded = {
      count: () => this.recorded,
      endOpen: () => spans?.tracers.endOpen(),
      flush: async (ms: number) => {
        await Promise.all([spans?.tracers.flush(ms), measures?.exporter?.flush(ms)]);
      },
      letGo: () => {
        spans?.letGo();
        measures?.exporter?.letGo();
      },
    };
    return new EndFlush(recorded, { timeoutMs, clock });
  }

  /** Whether there is anything at all. */
  private get isUsed(): boolean {
    return this.spans !== undefined || this.measures !== undefined;
  }

  /** The context of the running code, where ours tells it: by way of the api that takes several times as long. */
  private ownActive(): (() => Context) | undefined {
    const { contexts, settings } = this;
    return settings.register && !isRegistered('context') ? () => contexts.active() : undefined;
  }

  private stateOf(signal: Signal, built: boolean): SignalState {
    const { registration, settings } = this;
    if (built && (registration === undefined || registration.registered.has(signal))) return 'own';
    return settings.register && isRegistered(signal) ? 'adopted' : 'off';
  }

  /** OpenTelemetry itself says nothing, and whoever wonders where the spans are would search for long. */
  private tellOfOther(): void {
    const { endpoint, send, exporter, processors, metrics, warn } = this.settings;
    const wanted = (endpoint ?? send.url) !== undefined || exporter !== undefined || processors.length > 0;
    if (wanted && isRegistered('trace')) warn(sayings.before.trace);
    if (metrics !== undefined && isRegistered('metrics')) warn(sayings.before.metrics);
  }

  private registered(): Registration {
    const { settings, spans, measures } = this;
    const { warn, propagation } = settings;
    const registration = registerGlobals({
      contextManager: this.contexts,
      tracerProvider: spans?.tracers,
      meterProvider: measures?.meters,
      propagator: propagator(propagation),
      onYield: (signal) => this.yielded(signal),
    });
    if (registration.refused.size > 0) warn(mismatch());
    return registration;
  }

  /** What was recorded until then has to arrive all the same. */
  private yielded(signal: Signal): void {
    const { warn, shutdownTimeoutMs } = this.settings;
    if (signal !== 'trace' && signal !== 'metrics') return;
    warn(sayings.since[signal]);
    if (signal === 'trace') {
      void this.spans?.tracers.flush(shutdownTimeoutMs);
      return;
    }
    this.over = true;
    void this.measures?.exporter?.close(shutdownTimeoutMs);
  }

  private async close(): Promise<void> {
    const { clock, shutdownTimeoutMs } = this.settings;
    const exporter = this.measures?.exporter;
    this.end?.remove();
    const until = clock.now() + shutdownTimeoutMs;
    const forMetrics = exporter === undefined ? 0 : Math.min(lastPushMs, shutdownTimeoutMs / 4);
    await this.spans?.tracers.close(shutdownTimeoutMs - forMetrics);
    // After it, since it says what became of the last spans.
    await exporter?.close(Math.max(0, until - clock.now()));
    this.leaveExit();
    this.registration?.undo();
  }
}

/**
 * Builds the telemetry of a process, and registers it for everything that speaks to `@opentelemetry/api`: keelson's own
 * stacks, instrumentations of libraries, your own spans.
 *
 * Use it once, first of all, unless `import 'keelson/register'` does: that one also traces what nobody governs. With
 * neither `endpoint` nor `exporter`, `processors` or `metrics` it builds nothing, and all calls stay as cheap as they are
 * without it.
 *
 * Beside an SDK of OpenTelemetry: one that is registered already makes the spans, and this adds only what it has not, with one
 * line that says so; one that is registered later takes over, unless by a second copy of the api, which refuses it.
 *
 * At the end call `shutdown`, or give it to `createApp({ telemetry })`. A process that ends by itself has its spans sent
 * before, also those that nobody has ended, within `shutdownTimeoutMs`; requests that wait for an answer do not hold it, but over
 * gRPC, where they may for as long as they take. What has not left then, or at a `process.exit` without that, goes to the
 * `spool`, or is counted as lost, and a line says so.
 *
 * @throws TypeError or RangeError for options that cannot work
 * @example
 * ```ts
 * const t = telemetry({ service: 'orders', endpoint: 'http://localhost:4318', sampling: { mode: 'tail' } });
 * const app = createApp({ service: 'orders', telemetry: t });
 * ```
 */
export function telemetry(options: TelemetryOptions): Telemetry {
  return ownTelemetry(options);
}

/** The same, for our own programs. */
export function ownTelemetry(options: TelemetryOptions): OwnTelemetry {
  return new ProcessTelemetry(telemetrySettings(options));
}
