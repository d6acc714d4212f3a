import type { MetricData, MetricScope } from '../meter/metric-data.js';
import type { EndedSpan, InstrumentationScope } from '../tracer/ended-span.js';
import type { Resource } from '../tracer/resource.js';
import type { ByteWriter } from './byte-writer.js';

/** Which of the two forms of OTLP. */
export type EncodingName = 'protobuf' | 'json';

/** Encoded spans, by who made them. */
export type Shelves = ReadonlyMap<Resource, ReadonlyMap<InstrumentationScope, ByteWriter>>;

/** Metrics by who made them, in the order of the first of each. */
export function byScope(metrics: readonly MetricData[]): ReadonlyMap<MetricScope, readonly MetricData[]> {
  const scopes = new Map<MetricScope, MetricData[]>();
  for (const metric of metrics) {
    const known = scopes.get(metric.scope);
    if (known === undefined) scopes.set(metric.scope, [metric]);
    else known.push(metric);
  }
  return scopes;
}

/** Room for a resource and a scope beside what is known to come. */
const headBytes = 2_048;

/** About how many bytes a request for spans has. */
export function requestBytes(shelves: Shelves): number {
  let bytes = headBytes;
  for (const scopes of shelves.values()) for (const spans of scopes.values()) bytes += spans.at + 128;
  return bytes;
}

/** What a collector answered to data that it took. */
export interface Reply {
  /** How many spans or points it did not take after all. */
  readonly rejected: number;
  /** Why, or a warning; empty for none. */
  readonly message: string;
}

/** One half of a request. */
export interface Half {
  readonly body: Buffer;
  readonly spans: number;
}

/** How OTLP is written. */
export interface Encoding {
  readonly name: EncodingName;
  readonly contentType: string;
  /**
   * Appends one span to those of its scope.
   *
   * @throws RangeError when it does not fit into the writer's bound; the writer has to be set back then
   */
  writeSpan(out: ByteWriter, span: EndedSpan): void;
  /** The request for spans that were written; a copy. */
  traceRequest(shelves: Shelves): Buffer;
  /** The request for metrics; yields after each point: a process has thousands of series, and others are waiting. */
  metricRequest(resource: Resource, metrics: readonly MetricData[]): Generator<undefined, Buffer, undefined>;
  /** Reads the answer to either. `undefined` for what is none. */
  reply(body: Buffer): Reply | undefined;
  /** Cuts a request for spans in two, for a collector to which it is too large. `undefined` if it cannot be cut. */
  halves(body: Buffer): readonly [Half, Half] | undefined;
}
