import { MalformedMessage, ProtobufReader, wireTypes } from './protobuf-reader.js';

/** Numbers by name. */
export type Metrics = Readonly<Record<string, number>>;

/**
 * A load report of the Open Request Cost Aggregation, as gRPC and Envoy know it. What is absent is not known; in the binary
 * form it cannot be told from 0.
 */
export interface OrcaReport {
  /** Share of the CPU in use; above 1 past a soft limit. */
  readonly cpu_utilization?: number;
  /** Share of the memory in use. */
  readonly mem_utilization?: number;
  /** Shares in use of other resources. */
  readonly utilization?: Metrics;
  /** Calls per second. */
  readonly rps_fractional?: number;
  /** Errors per second. */
  readonly eps?: number;
  /** What the application tells besides. */
  readonly named_metrics?: Metrics;
  /** How loaded it is by its own measure; it counts in place of CPU where it is told. */
  readonly application_utilization?: number;
}

/** The numbers of a report, by field number of the message. */
export const orcaNumbers = {
  cpu_utilization: 1,
  mem_utilization: 2,
  rps_fractional: 6,
  eps: 7,
  application_utilization: 9,
} as const;

/** The maps of a report. */
export const orcaMaps = { utilization: 5, named_metrics: 8 } as const;

/** Most entries of a map that are read. */
const mostMetrics = 64;
/** Longest name of a metric that is read; bytes. */
const longestName = 128;
/** Longest message that is read; bytes. */
const longestMessage = 8192;

const { fixed64, delimited, varint } = wireTypes;
/** `uint64 rps = 3`, from before there was a fraction. */
const wholeRps = 3;

type NumberName = keyof typeof orcaNumbers;
type MapName = keyof typeof orcaMaps;

const numberNames = new Map<number, NumberName>(
  Object.entries(orcaNumbers).map(([name, field]) => [field, name as NumberName]),
);
const mapNames = new Map<number, MapName>(
  Object.entries(orcaMaps).map(([name, field]) => [field, name as MapName]),
);

/** Writes tags, lengths and doubles behind each other. */
class Writer {
  private readonly parts: Buffer[] = [];

  double(field: number, value: number): void {
    const part = Buffer.allocUnsafe(9);
    // All fields of this message have numbers below 16, whose tags are one byte.
    part[0] = (field << 3) | fixed64;
    part.writeDoubleLE(value, 1);
    this.parts.push(part);
  }
  bytes(field: number, value: Buffer): void {
    const { length } = value;
    const head = length < 128 ? [length] : [(length & 127) | 128, length >> 7];
    this.parts.push(Buffer.from([(field << 3) | delimited, ...head]), value);
  }
  all(): Buffer {
    return Buffer.concat(this.parts);
  }
}

/** Writes a report as the protobuf message `xds.data.orca.v3.OrcaLoadReport`. Names beyond the bound are left out. */
export function encodeOrca(report: OrcaReport): Buffer {
  const message = new Writer();
  for (const [name, field] of Object.entries(orcaNumbers)) {
    const value = report[name as NumberName];
    // 0 is what an absent field means.
    if (value !== undefined && value !== 0) message.double(field, value);
  }
  for (const [name, field] of Object.entries(orcaMaps)) {
    for (const [key, value] of Object.entries(report[name as MapName] ?? {})) {
      const bytes = Buffer.from(key);
      if (bytes.length > longestName) continue;
      const entry = new Writer();
      entry.bytes(1, bytes);
      entry.double(2, value);
      message.bytes(field, entry.all());
    }
  }
  return message.all();
}

/** One entry of a map: key 1, value 2, each absent for its default. */
function entryOf(bytes: Buffer): readonly [string, number] {
  const entry = new ProtobufReader(bytes);
  let key = '';
  let value = 0;
  while (!entry.done) {
    const tag = entry.varint();
    if (tag === ((1 << 3) | delimited)) {
      const name = entry.delimited();
      if (name.length > longestName) return ['', 0];
      key = name.toString();
    } else if (tag === ((2 << 3) | fixed64)) value = entry.double();
    else entry.content(tag & 7);
  }
  return [key, value];
}

type Open = { -readonly [Field in keyof OrcaReport]: OrcaReport[Field] };

/** A map without a prototype, so that no name of a metric means anything, and with an end. */
export class MetricsRead {
  readonly metrics: Record<string, number> = Object.create(null) as Record<string, number>;
  private left = mostMetrics;
  add(name: string, value: number): void {
    if (name === '' || name.length > longestName || !Number.isFinite(value)) return;
    if (!(name in this.metrics) && this.left-- <= 0) return;
    this.metrics[name] = value;
  }
}

function read(bytes: Buffer): OrcaReport {
  const message = new ProtobufReader(bytes);
  const report: Open = {};
  const maps = { utilization: new MetricsRead(), named_metrics: new MetricsRead() };
  while (!message.done) {
    const tag = message.varint();
    const field = Math.floor(tag / 8);
    const wire = tag & 7;
    const number = wire === fixed64 ? numberNames.get(field) : undefined;
    const map = wire === delimited ? mapNames.get(field) : undefined;
    if (number !== undefined) {
      const value = message.double();
      if (Number.isFinite(value)) report[number] = value;
    } else if (map !== undefined) {
      maps[map].add(...entryOf(message.delimited()));
      report[map] = maps[map].metrics;
    } else if (field === wholeRps && wire === varint) report.rps_fractional ??= message.varint();
    else message.content(wire);
  }
  return report;
}

/**
 * Reads the protobuf message `xds.data.orca.v3.OrcaLoadReport`. Fields that are not known are passed over; numbers that
 * are not finite, names beyond the bound and entries beyond the bound are left out.
 *
 * @returns `undefined` for bytes that are no message, or too many
 */
export function decodeOrca(bytes: Buffer): OrcaReport | undefined {
  if (bytes.length > longestMessage) return undefined;
  try {
    return read(bytes);
  } catch (error) {
    if (error instanceof MalformedMessage) return undefined;
    throw error;
  }
}
