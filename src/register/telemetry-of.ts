import { readFileSync } from 'node:fs';
import type { TelemetryMetricsOptions, TelemetryOptions } from '../otel/telemetry-options.js';
import type { SamplingOptions } from '../tracer/sampling.js';
import { consoleExporter } from './console-exporter.js';
import { shown } from './environment-reader.js';
import { type PackageIdentity, serviceOf } from './package-name.js';
import type { SamplingChoice } from './sampling-choice.js';
import type { RegisterSettings } from './settings.js';
import type { SignalSettings } from './signal-settings.js';

type Warn = (message: string) => void;

function samplingOf({ mode, amount }: SamplingChoice): SamplingOptions {
  if (mode === 'ratio') return { mode, ratio: amount };
  return mode === 'rateLimit' ? { mode, perSecond: amount } : { mode };
}

/** Reads each file once: both signals may name it, and what is wrong with it is told once. */
class Files {
  private readonly known = new Map<string, Buffer | undefined>();

  constructor(private readonly warn: Warn) {}

  at(path: string): Buffer | undefined {
    if (!this.known.has(path)) this.known.set(path, this.read(path));
    return this.known.get(path);
  }

  private read(path: string): Buffer | undefined {
    try {
      return readFileSync(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      this.warn(`the certificate or key ${shown(path)} cannot be read, and is left out: ${code}`);
      return undefined;
    }
  }
}

/** How one signal is sent, in the words of what sends it. */
function link(
  { url, protocol, headers, compression, timeoutMs, ca, cert, key }: SignalSettings,
  files: Files,
) {
  const tls = {
    ...(ca !== undefined && { ca: files.at(ca) }),
    ...(cert !== undefined && { cert: files.at(cert) }),
    ...(key !== undefined && { key: files.at(key) }),
  };
  return {
    protocol,
    headers,
    compression,
    timeoutMs,
    ...(protocol === 'grpc' ? { endpoint: url } : { url }),
    ...(Object.keys(tls).length > 0 && { tls }),
  };
}

function metricsOf(settings: RegisterSettings, files: Files): TelemetryMetricsOptions | boolean {
  const { metrics, histogram, exemplars, metricsTo, metricIntervalMs } = settings;
  if (metrics === 'none') return false;
  // Text has explicit bounds only, and the variable speaks of OTLP.
  if (metrics !== 'otlp') return { push: false, exemplars };
  return { push: { ...link(metricsTo, files), intervalMs: metricIntervalMs }, histogram, exemplars };
}

/**
 * What {@link telemetry} is to be made with.
 *
 * @param found - the package of the program, which names the service where nothing else does
 * @param warn - takes a line about what is left out
 */
export function telemetryOf(
  settings: RegisterSettings,
  found: PackageIdentity,
  warn: Warn,
): TelemetryOptions {
  const files = new Files(warn);
  const { batchSpans, delayMs, spoolFolder, spoolBytes, extract, inject } = settings;
  const sending = settings.traces === 'otlp';
  const { endpoint, protocol, headers, ...send } = {
    endpoint: undefined,
    ...(sending && link(settings.tracesTo, files)),
  } as ReturnType<typeof link> & { readonly endpoint?: string | undefined };
  return {
    service: settings.service ?? (found.name === undefined ? 'unknown_service:node' : serviceOf(found.name)),
    version: settings.version ?? found.version,
    resource: settings.resource,
    ...(sending && {
      endpoint,
      protocol,
      headers,
      send: { ...send, batchSpans, lingerMs: delayMs },
      spool: spoolFolder === undefined ? undefined : { folder: spoolFolder, maxBytes: spoolBytes },
    }),
    ...(settings.traces === 'console' && { exporter: consoleExporter }),
    sampling: samplingOf(settings.sampling),
    limits: settings.limits,
    propagation: { extract, inject },
    metrics: metricsOf(settings, files),
    shutdownTimeoutMs: settings.shutdownTimeoutMs,
  };
}
