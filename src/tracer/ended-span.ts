import type {
  Attributes,
  AttributeValue,
  HrTime,
  SpanContext,
  SpanKind,
  SpanStatus,
  TraceState,
} from '@opentelemetry/api';
import type { Resource } from './resource.js';

/** Which library made a span. */
export interface InstrumentationScope {
  readonly name: string;
  readonly version?: string | undefined;
  readonly schemaUrl?: string | undefined;
}

/** Something that happened within a span. */
export interface SpanEvent {
  readonly name: string;
  /** Wall time, milliseconds since 1970, with fractions. */
  readonly atMs: number;
  /** The same as seconds and nanoseconds; made on demand. */
  readonly time: HrTime;
  readonly attributes: Attributes;
  readonly droppedAttributesCount: number;
}

/** Another span that this one has to do with. */
export interface SpanLink {
  readonly context: SpanContext;
  readonly attributes: Attributes;
  readonly droppedAttributesCount: number;
}

/** How many spans one span stands for, and how long they took: see `compression` of the tracer. */
export interface Composite {
  /** The span itself included; 2 or more. */
  readonly count: number;
  /** Sum of their lengths, which is less than that of the composite: it has their pauses too. Milliseconds. */
  readonly sumMs: number;
  readonly minMs: number;
  readonly maxMs: number;
}

/** One name or one value of the flat list of a span's attributes. */
export type AttributePart = string | AttributeValue;

/**
 * A span that is over. It does not change any more, and all that is in it is clean: valid names, values of the types of
 * OpenTelemetry, within the limits.
 *
 * It has the shape of the `ReadableSpan` of the OpenTelemetry SDK 2.x, so that span processors and exporters of the SDK
 * take it. Those fields are made on demand; an encoder reads the cheap ones: {@link EndedSpan.startedMs},
 * {@link EndedSpan.endedMs}, {@link EndedSpan.pairs}, {@link EndedSpan.flags}.
 */
export interface EndedSpan {
  readonly name: string;
  readonly kind: SpanKind;
  spanContext(): SpanContext;
  readonly parentSpanContext: SpanContext | undefined;
  readonly status: SpanStatus;
  readonly links: readonly SpanLink[];
  readonly events: readonly SpanEvent[];
  readonly ended: boolean;
  readonly resource: Resource;
  readonly instrumentationScope: InstrumentationScope;
  readonly droppedAttributesCount: number;
  readonly droppedEventsCount: number;
  readonly droppedLinksCount: number;

  /** Made of {@link EndedSpan.pairs} on demand, and then kept. */
  readonly attributes: Attributes;
  /** Made of {@link EndedSpan.startedMs} on demand. */
  readonly startTime: HrTime;
  /** Made of {@link EndedSpan.endedMs} on demand. */
  readonly endTime: HrTime;
  /** Made of both on demand; never negative. */
  readonly duration: HrTime;

  /** Name, value, name, value, …: each name once. What `attributes` is made of; cheaper to walk. */
  readonly pairs: readonly AttributePart[];
  /** Wall time, milliseconds since 1970, with fractions. */
  readonly startedMs: number;
  /** Start plus the monotonic length, so never before the start, whatever the wall clock did between. */
  readonly endedMs: number;
  /** As received or set by a sampler; `undefined` for none. */
  readonly traceState: TraceState | undefined;
  /**
   * As OTLP has them: the W3C flags in bits 0 to 7; bit 8, "whether the parent is remote is known", always; bit 9, "the
   * parent is remote". Of a link an encoder says the same of the link's own context.
   */
  readonly flags: number;
  /** About how many bytes of memory and of wire it takes, for byte caps: what is kept of names, values, events, links. */
  readonly bytes: number;
  /**
   * Present if it stands for several. The same is in its attributes (`keelson.composite.count`, `.sum_ms`, `.min_ms`,
   * `.max_ms`): an encoder has nothing to add.
   */
  readonly composite: Composite | undefined;
}
