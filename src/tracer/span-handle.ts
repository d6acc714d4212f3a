import type {
  Attributes,
  AttributeValue,
  Exception,
  HrTime,
  Link,
  Span,
  SpanContext,
  SpanKind,
  SpanStatus,
  TimeInput,
} from '@opentelemetry/api';
import type { InstrumentationScope, SpanEvent, SpanLink } from './ended-span.js';
import type { LocalTrace } from './local-trace.js';
import type { RecordedSpan } from './recorded-span.js';
import type { Resource } from './resource.js';

const unset: SpanStatus = Object.freeze({ code: 0 });
const nothing: Attributes = Object.freeze({});

/**
 * What user code holds of a span that is recorded. Contexts are kept by everything asynchronous that was started in them,
 * some of it for ever; so the handle lets go of the record when the span ends.
 *
 * It also shows what the SDK's spans show while they are open, since code in the wild reads it.
 */
export class SpanHandle implements Span {
  readonly kind: SpanKind;
  readonly trace: LocalTrace;
  /** The span itself, until it ends. */
  record: RecordedSpan | undefined;
  private readonly context: SpanContext;

  constructor(record: RecordedSpan, context: SpanContext) {
    this.record = record;
    this.context = context;
    this.kind = record.kind;
    this.trace = record.trace;
    record.holder = this;
  }

  /** Its ids, for those who make spans: asking for them this way does not count as telling anybody. */
  get ids(): SpanContext {
    return this.context;
  }

  spanContext(): SpanContext {
    if (this.record !== undefined) this.record.exposed = true;
    return this.context;
  }
  isRecording(): boolean {
    return this.record !== undefined;
  }
  setAttribute(name: string, value: AttributeValue): this {
    (this.record ?? this.late())?.setAttribute(name, value);
    return this;
  }
  setAttributes(attributes: Attributes): this {
    (this.record ?? this.late())?.setAttributes(attributes);
    return this;
  }
  addEvent(name: string, attributesOrTime?: Attributes | TimeInput, time?: TimeInput): this {
    (this.record ?? this.late())?.addEvent(name, attributesOrTime, time);
    return this;
  }
  addLink(link: Link): this {
    (this.record ?? this.late())?.addLink(link);
    return this;
  }
  addLinks(links: readonly Link[]): this {
    (this.record ?? this.late())?.addLinks(links);
    return this;
  }
  setStatus(status: SpanStatus): this {
    (this.record ?? this.late())?.setStatus(status);
    return this;
  }
  updateName(name: string): this {
    (this.record ?? this.late())?.updateName(name);
    return this;
  }
  recordException(exception: Exception, time?: TimeInput): void {
    (this.record ?? this.late())?.recordException(exception, time);
  }
  end(time?: TimeInput): void {
    (this.record ?? this.late())?.end(time);
  }

  get ended(): boolean {
    return this.record === undefined;
  }
  get name(): string {
    return this.record?.name ?? '';
  }
  get status(): SpanStatus {
    return this.record?.status ?? unset;
  }
  get attributes(): Attributes {
    return this.record?.attributes ?? nothing;
  }
  get events(): readonly SpanEvent[] {
    return this.record?.events ?? [];
  }
  get links(): readonly SpanLink[] {
    return this.record?.links ?? [];
  }
  get parentSpanContext(): SpanContext | undefined {
    return this.record?.parentSpanContext;
  }
  get startTime(): HrTime {
    return this.record?.startTime ?? [0, 0];
  }
  get resource(): Resource | undefined {
    return this.record?.resource;
  }
  get instrumentationScope(): InstrumentationScope | undefined {
    return this.record?.instrumentationScope;
  }

  private late(): undefined {
    this.trace.late();
  }
}
