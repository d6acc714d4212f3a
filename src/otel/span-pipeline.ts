import type { Context } from '@opentelemetry/api';
import { inNameOf } from '../core/in-name-of.js';
import { checkNumber } from '../core/options.js';
import { Losses as LossCounter } from '../otlp/losses.js';
import { type SpanExporter, type SpanExporterStats, spanExporter } from '../otlp/span-exporter.js';
import { spanExporterDefaults } from '../otlp/span-exporter-options.js';
import type { EndedSpan } from '../tracer/ended-span.js';
import { type ExporterLoss, exporterSink } from '../tracer/exporter-sink.js';
import type { Resource } from '../tracer/resource.js';
import type { SpanSink } from '../tracer/span-sink.js';
import { type Tracers, tracers } from '../tracer/tracers.js';
import type { TelemetrySettings } from './telemetry-options.js';

/** Spans that were to be sent and are lost, by reason, over all ways. */
export type Losses = Readonly<Record<string, number>>;

/** What makes spans, and what sends them. */
export interface SpanPipeline {
  readonly tracers: Tracers;
  losses(): Losses;
  /** Of what sends to the collector; `undefined` without one. */
  sending(): SpanExporterStats | undefined;
  /** Lets go of what may hold the process; what was on its way is sent again. */
  letGo(): void;
  /** For the `exit` of a process: saves or counts what is here, and says what is lost, before it returns. */
  salvage(): void;
}

/** Hands each span to all of several, and at the end says what was lost on any way. */
class Fork implements SpanSink {
  constructor(
    private readonly sinks: readonly SpanSink[],
    private readonly lost: LossCounter,
  ) {}
  accept(span: EndedSpan): void {
    for (const sink of this.sinks) sink.accept(span);
  }
  async flush(timeoutMs: number): Promise<void> {
    await Promise.all(this.sinks.map((sink) => sink.flush(timeoutMs)));
  }
  async close(timeoutMs: number): Promise<void> {
    await Promise.all(this.sinks.map((sink) => sink.close(timeoutMs)));
    this.lost.close();
  }
  salvage(): void {
    for (const sink of this.sinks) sink.salvage?.();
    this.lost.tell();
  }
}

/** What the parts call their options, and what their user calls them. */
const names = {
  'spanExporter.endpoint': 'telemetry.endpoint',
  'spanExporter.protocol': 'telemetry.protocol',
  'spanExporter.headers': 'telemetry.headers',
  'spanExporter.spool': 'telemetry.spool',
  spanExporter: 'telemetry.send',
  tracers: 'telemetry',
};

function exporterOf(settings: TelemetrySettings, losses: LossCounter): SpanExporter | undefined {
  const { endpoint, protocol, headers, spool, send, warn, clock } = settings;
  if (endpoint === undefined && send.url === undefined) return undefined;
  return spanExporter({ warn, ...send, endpoint, protocol, headers, spool, clock }, losses);
}

/** Counts what is lost on all ways, so that one line tells of it. */
function lossCounter(settings: TelemetrySettings, elsewhere: () => Losses): LossCounter {
  const { send, clock } = settings;
  const { warn = settings.warn, warnIntervalMs: intervalMs = spanExporterDefaults.warnIntervalMs } = send;
  // Nobody else looks at it where nothing is sent by us.
  checkNumber('spanExporter.warnIntervalMs', intervalMs, { above: 0 });
  return new LossCounter({ what: 'spans', clock, warn, intervalMs, elsewhere });
}

/**
 * Makes what makes spans and sends them.
 *
 * @param active - the context of the running code, if that is known without asking the api
 * @returns `undefined` when nobody wants them: then none are made
 * @throws TypeError or RangeError, naming the option
 */
export function spanPipeline(
  settings: TelemetrySettings,
  resource: Resource,
  active?: () => Context,
): SpanPipeline | undefined {
  const { exporter, processors, sampling, limits, clock } = settings;
  const foreign: Record<string, number> = {};
  const onLost = (reason: ExporterLoss, count: number): void => {
    foreign[reason] = (foreign[reason] ?? 0) + count;
  };
  return inNameOf(names, () => {
    let made: Tracers | undefined;
    const lost = lossCounter(settings, () => ({ ...foreign, ...made?.counts.lost }));
    const own = exporterOf(settings, lost);
    if (own === undefined && exporter === undefined && processors.length === 0) return undefined;
    const sinks = [
      ...(own === undefined ? [] : [own]),
      ...(exporter === undefined ? [] : [exporterSink(exporter, { onLost, clock })]),
    ];
    const sink = new Fork(sinks, lost);
    made = tracers({ sink, processors, resource, sampling, limits, active, clock });
    lost.watch();
    const salvage = (): void => {
      // What it begins nobody waits for; but what it decides at once, such as which traces are kept, comes here still.
      void made?.close(0);
      sink.salvage();
    };
    return {
      tracers: made,
      losses: () => lost.all,
      sending: () => own?.stats(),
      letGo: () => own?.letGo(),
      salvage,
    };
  });
}
