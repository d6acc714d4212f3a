import type { ServerLoad } from '../core/outcome.js';
import { boundedLoad } from './load-header.js';
import {
  decodeOrca,
  encodeOrca,
  type Metrics,
  MetricsRead,
  type OrcaReport,
  orcaMaps,
  orcaNumbers,
} from './orca-message.js';

/** Response header with a load report in one of {@link OrcaFormat}. */
export const orcaHeader = 'endpoint-load-metrics';
/** Trailer of gRPC with a load report as a protobuf message; as a header of HTTP, base64 of it. */
export const orcaBinaryHeader = 'endpoint-load-metrics-bin';
/** Request header by which a client asks for a load report, and names the format. */
export const orcaRequestHeader = 'endpoint-load-metrics-format';

/** How a load report is written in {@link orcaHeader}: `TEXT cpu_utilization=0.3`, `JSON {…}`, `BIN` and base64. */
export type OrcaFormat = 'text' | 'json' | 'bin';

/** Anything longer is not read. */
const longest = 8192;

type Open = { -readonly [Field in keyof OrcaReport]: OrcaReport[Field] };
type NumberName = keyof typeof orcaNumbers;
type MapName = keyof typeof orcaMaps;

/** Names of keelson's own metrics, `backlogMs` first: `keelson.backlog_ms`. */
const ownMetrics = {
  backlogMs: 'keelson.backlog_ms',
  serviceMs: 'keelson.service_ms',
  inflight: 'keelson.inflight',
  admitRatio: 'keelson.admit_ratio',
} as const satisfies { readonly [Field in keyof ServerLoad]?: string };

/**
 * A load as a report of ORCA. While calls are refused, `application_utilization` tells how much is asked for against what
 * can be done, so that balancers by utilization, gRPC's `weighted_round_robin` for one, see a server above 1; else the CPU
 * counts.
 */
export function orcaOf(load: ServerLoad): OrcaReport {
  const { cpuRatio, perSecond, errorsPerSecond, admitRatio } = load;
  const report: Open = {};
  if (cpuRatio !== undefined) report.cpu_utilization = cpuRatio;
  if (admitRatio !== undefined) report.application_utilization = (cpuRatio ?? 1) / Math.max(0.01, admitRatio);
  if (perSecond !== undefined) report.rps_fractional = perSecond;
  if (errorsPerSecond !== undefined) report.eps = errorsPerSecond;
  const named: Record<string, number> = {};
  for (const [field, name] of Object.entries(ownMetrics)) {
    const value = load[field as keyof typeof ownMetrics];
    if (value !== undefined) named[name] = value;
  }
  if (Object.keys(named).length > 0) report.named_metrics = named;
  return report;
}

/** What a report says of the load of whoever sent it; `undefined` for nothing that could be used. */
export function loadOfOrca(report: OrcaReport | undefined): ServerLoad | undefined {
  if (report === undefined) return undefined;
  const { cpu_utilization, application_utilization = 0, rps_fractional, eps, named_metrics = {} } = report;
  const load: { -readonly [Field in keyof ServerLoad]: ServerLoad[Field] } = {};
  // As gRPC proposal A58 has it: its own measure, and the CPU without one.
  const used = application_utilization > 0 ? application_utilization : cpu_utilization;
  if (used !== undefined) load.cpuRatio = used;
  if (rps_fractional !== undefined) load.perSecond = rps_fractional;
  if (eps !== undefined) load.errorsPerSecond = eps;
  for (const [field, name] of Object.entries(ownMetrics)) {
    const value = named_metrics[name];
    if (value !== undefined) load[field as keyof typeof ownMetrics] = value;
  }
  return boundedLoad(load);
}

function textOf(report: OrcaReport): string {
  const parts: string[] = [];
  for (const name of Object.keys(orcaNumbers) as NumberName[]) {
    const value = report[name];
    if (value !== undefined) parts.push(`${name}=${value}`);
  }
  for (const map of Object.keys(orcaMaps) as MapName[])
    for (const [name, value] of Object.entries(report[map] ?? {})) parts.push(`${map}.${name}=${value}`);
  return parts.join(', ');
}

/** Writes a report as the value of {@link orcaHeader}. */
export function formatOrca(report: OrcaReport, format: OrcaFormat): string {
  if (format === 'json') return `JSON ${JSON.stringify(report)}`;
  return format === 'bin' ? `BIN ${encodeOrca(report).toString('base64')}` : `TEXT ${textOf(report)}`;
}

/** What a request asks for by {@link orcaRequestHeader}; `undefined` for nothing that is known. */
export function orcaFormatOf(asked: string | undefined): OrcaFormat | undefined {
  const format = asked?.trim().toLowerCase();
  return format === 'text' || format === 'json' || format === 'bin' ? format : undefined;
}

/** Collects what a report says, whatever it is written in. */
class Collected {
  private readonly report: Open = {};
  private readonly maps = { utilization: new MetricsRead(), named_metrics: new MetricsRead() };

  number(name: string, value: number): void {
    if (Object.hasOwn(orcaNumbers, name) && Number.isFinite(value)) this.report[name as NumberName] = value;
  }
  metric(map: string, name: string, value: number): void {
    if (!Object.hasOwn(orcaMaps, map)) return;
    this.maps[map as MapName].add(name, value);
    this.report[map as MapName] = this.maps[map as MapName].metrics;
  }
  all(): OrcaReport {
    return this.report;
  }
}

/** Some separate by a colon, as Envoy once did. */
const separator = /[=:]/;

function fromText(text: string): OrcaReport {
  const collected = new Collected();
  for (const part of text.split(',')) {
    const at = part.search(separator);
    const digits = part.slice(at + 1).trim();
    // An empty text would be the number 0.
    if (at < 0 || digits === '') continue;
    const name = part.slice(0, at).trim();
    const dot = name.indexOf('.');
    if (dot < 0) collected.number(name, Number(digits));
    else collected.metric(name.slice(0, dot), name.slice(dot + 1), Number(digits));
  }
  return collected.all();
}

/** proto3's JSON writes names in camel case too; each is read. */
const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function fromJson(text: string): OrcaReport | undefined {
  const collected = new Collected();
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== 'object' || parsed === null) return undefined;
    for (const [key, value] of Object.entries(parsed)) {
      const name = snake(key);
      if (typeof value === 'number') collected.number(name, value);
      else if (typeof value === 'object' && value !== null)
        for (const [metric, amount] of Object.entries(value as Metrics))
          if (typeof amount === 'number') collected.metric(name, metric, amount);
    }
    return collected.all();
  } catch {
    return undefined;
  }
}

/** Reads the value of {@link orcaBinaryHeader} in HTTP, or what stands behind `BIN`. */
export function parseOrcaBase64(text: string): OrcaReport | undefined {
  return text.length > longest ? undefined : decodeOrca(Buffer.from(text, 'base64'));
}

/**
 * Reads the value of {@link orcaHeader}, whichever of its formats it is in; without a prefix it is text, as of old. What
 * cannot be used is left out.
 *
 * @returns `undefined` for what is no report
 */
export function parseOrca(value: string): OrcaReport | undefined {
  if (value.length > longest) return undefined;
  const text = value.trim();
  const kind = text.slice(0, 5);
  if (kind === 'JSON ') return fromJson(text.slice(5));
  if (text.startsWith('BIN ')) return parseOrcaBase64(text.slice(4));
  return fromText(kind === 'TEXT ' ? text.slice(5) : text);
}
