import { DiagConsoleLogger, diag } from '@opentelemetry/api';
import { systemClock } from '../core/clock.js';
import { EndFlush } from '../otel/exit-flush.js';
import { registerGlobals } from '../otel/global-registration.js';
import { type OwnTelemetry, ownTelemetry, type Telemetry } from '../otel/telemetry.js';
import { telemetryDefaults } from '../otel/telemetry-options.js';
import { metricExporterDefaults } from '../otlp/metric-exporter-options.js';
import { propagator } from '../telemetry/propagator.js';
import { runtimeMetrics } from '../telemetry/runtime-metrics.js';
import type { Edge, EdgePeriod } from '../topology/edge.js';
import { contextStorage } from '../tracer/context-storage.js';
import { hookClients } from './client-hook.js';
import { consoleMetrics } from './console-metrics.js';
import { atSignals, type LastThings } from './end-of-process.js';
import type { Environment } from './environment-reader.js';
import { hookFastify } from './fastify-hook.js';
import { hookHttp2Clients } from './http2-client-hook.js';
import { hookHttp2Servers } from './http2-server-hook.js';
import { innerHosts } from './inner-host.js';
import { packageOf } from './package-name.js';
import { printed } from './printed-line.js';
import { serveMetrics } from './prometheus-server.js';
import { hookServers } from './server-hook.js';
import { type Hook, type RegisterSettings, readSettings } from './settings.js';
import { telemetryOf } from './telemetry-of.js';
import { hookUndici } from './undici-hook.js';
import { type Witness, witness } from './witness.js';

/** What `import 'keelson/register'` has set up. */
export interface Registered {
  /** `undefined` with `OTEL_SDK_DISABLED=true`, and where it could not be set up. */
  readonly telemetry: Telemetry | undefined;
  /** Sends what is left and takes all hooks away; for tests. A second call joins the first. */
  stop(): Promise<void>;
  /**
   * Who calls whom, of all that nobody governs: callers by the names that they tell, callees by their hosts. The last whole
   * window of ten seconds, unless told otherwise; empty while there are no metrics.
   */
  edges(period?: EdgePeriod): readonly Edge[];
}

/** What a program gives that is started with it. */
export interface Host {
  readonly environment: Environment;
  /** The file that Node was told to run. */
  readonly program: string | undefined;
  readonly cwd: string;
  /** Takes what is found at the start, and is the same in all threads of a process. */
  readonly note: (message: string) => void;
  /** Takes what happens later. */
  readonly warn: (message: string) => void;
}

const hookers: Readonly<Record<Hook, readonly ((witness: Witness) => () => void)[]>> = {
  'http-server': [hookServers, hookFastify],
  'http-client': [hookClients],
  fetch: [hookUndici],
  http2: [hookHttp2Servers, hookHttp2Clients],
};

const nothing: Registered = { telemetry: undefined, stop: () => Promise.resolve(), edges: () => [] };

/** What is set up, step by step; each is taken back, the last one first. */
class Setup {
  private readonly undo: (() => void)[] = [];
  private readonly last: LastThings[] = [];
  private stopping: Promise<void> | undefined;

  constructor(
    private readonly settings: RegisterSettings,
    private readonly host: Host,
  ) {}

  build(): Registered {
    const { settings, host } = this;
    const { logLevel, extract, inject, trust, innerHosts: named } = settings;
    if (logLevel !== undefined) {
      diag.setLogger(new DiagConsoleLogger(), { logLevel, suppressOverrideMessage: true });
      this.undo.push(() => diag.disable());
    }
    const found = packageOf(host.program, host.cwd);
    const made = ownTelemetry({ ...telemetryOf(settings, found, host.note), warn: host.warn });
    this.last.push(made);
    // What comes in goes on to callees also where nobody records it: somebody has to carry it, in the words that were chosen.
    const carried = registerGlobals({
      contextManager: contextStorage(),
      propagator: inject === undefined ? undefined : propagator({ extract, inject }),
      onYield: () => undefined,
    });
    this.undo.push(() => carried.undo());
    const watching = witness({ service: made.service, trust, isInner: innerHosts(named) });
    this.undo.push(() => watching.stop());
    for (const hook of settings.hooks) for (const hooked of hookers[hook]) this.undo.push(hooked(watching));
    if (made.metrics === 'own') this.show(made);
    this.undo.push(atSignals({ flush: () => this.each('flush'), shutdown: () => this.each('shutdown') }));
    return { telemetry: made, stop: () => this.stop(), edges: (period) => watching.edgesOf(period) };
  }

  stop(): Promise<void> {
    this.stopping ??= this.each('shutdown').finally(() => this.takeBack());
    return this.stopping;
  }

  /** Takes back at once what was done of it. */
  giveUp(): void {
    try {
      this.takeBack();
    } catch {
      // What could not be changed need not be taken back.
    }
    void this.stop();
  }

  private takeBack(): void {
    for (const one of this.undo.splice(0).reverse()) one();
  }

  /** What nobody else measures, and metrics that are not pushed. */
  private show(made: OwnTelemetry): void {
    const { metrics, prometheus, metricIntervalMs } = this.settings;
    const timeoutMs = this.settings.shutdownTimeoutMs ?? telemetryDefaults.shutdownTimeoutMs;
    this.undo.push(runtimeMetrics().stop);
    if (metrics === 'prometheus') {
      const server = serveMetrics(made, prometheus, this.host.note);
      this.undo.push(() => server.close());
    }
    if (metrics === 'console') {
      const intervalMs = metricIntervalMs ?? metricExporterDefaults.intervalMs;
      const writer = consoleMetrics(made, { intervalMs, write: printed, clock: systemClock });
      const { flush } = writer;
      // It writes once more before the process ends by itself, and else as often as time goes by.
      const end = new EndFlush({ count: () => made.recorded, flush }, { timeoutMs, clock: systemClock });
      this.last.push({ flush, shutdown: flush });
      this.undo.push(writer.close, () => end.remove());
    }
  }

  private async each(what: keyof LastThings): Promise<void> {
    await Promise.all(this.last.map((one) => one[what]()));
  }
}

/**
 * Sets up telemetry by the environment, and traces what comes and goes by HTTP and gRPC. Never throws: what only watches a
 * service must not keep it from starting.
 */
export function start(host: Host): Registered {
  let setup: Setup | undefined;
  try {
    const notes: string[] = [];
    const settings = readSettings(host.environment, (message) => notes.push(message));
    if (settings.disabled) return nothing;
    for (const message of notes) host.note(message);
    setup = new Setup(settings, host);
    return setup.build();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    host.note(`telemetry cannot be set up, and the program goes on without it: ${why}`);
    setup?.giveUp();
    return nothing;
  }
}
