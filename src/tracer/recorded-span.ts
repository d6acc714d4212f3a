import {
  type Attributes,
  type AttributeValue,
  type Exception,
  type HrTime,
  type Link,
  type Span,
  type SpanContext,
  type SpanKind,
  type SpanStatus,
  SpanStatusCode,
  type TimeInput,
  type TraceState,
} from '@opentelemetry/api';
import type { Clock } from '../core/clock.js';
import { AttributeList } from './attribute-list.js';
import { cleanValue } from './attribute-value.js';
import type { AttributePart, Composite, InstrumentationScope } from './ended-span.js';
import { exceptionAttributes } from './exception.js';
import { hrTimeOf, isTime, timeOf } from './hr-time.js';
import type { HeldSpan, LocalTrace } from './local-trace.js';
import type { Resource } from './resource.js';
import type { RecordedEvent, RecordedLink } from './span-event.js';
import type { SpanLimits } from './span-limits.js';
import { SpanParts } from './span-parts.js';
import { cutStatus, statusOf } from './span-status.js';
import { sampledFlag } from './trace-flags.js';

/** Who made a span, and hears of its end. */
export interface SpanOrigin {
  readonly scope: InstrumentationScope;
  readonly resource: Resource;
  readonly limits: SpanLimits;
  readonly clock: Clock;
  /** Just before: it can still be written to. */
  ending(span: RecordedSpan): void;
  ended(span: RecordedSpan, now: number): void;
}

/** What a span begins as. */
export interface SpanStart {
  readonly name: string;
  readonly kind: SpanKind;
  /** Its own; the sampled flag is set later if the trace is kept later. */
  readonly context: SpanContext;
  readonly parentSpanContext: SpanContext | undefined;
  readonly trace: LocalTrace;
  readonly parent: RecordedSpan | undefined;
  readonly isFirst: boolean;
  /** Monotonic. */
  readonly now: number;
}

/** OTLP: whether the parent is remote is known; it is. */
const remoteKnown = 0x100;
const remoteParent = 0x200;
/** What a span takes besides what is written on it. */
const emptyBytes = 256;
/** So much of why it failed is said however full it is. */
const leastMessage = 64;
/** By so much it grows until that is noticed. */
const grainBytes = 1024;

const noEvents: readonly RecordedEvent[] = Object.freeze([]);
const noLinks: readonly RecordedLink[] = Object.freeze([]);
const unset: SpanStatus = Object.freeze({ code: SpanStatusCode.UNSET });

/** A span that is recorded: what is written on it, and after its end what exporters read. */
export class RecordedSpan implements Span, HeldSpan {
  name: string;
  readonly kind: SpanKind;
  readonly parentSpanContext: SpanContext | undefined;
  status: SpanStatus = unset;
  ended = false;
  endedMs = Number.NaN;
  startedMs: number;
  /** When it was made, monotonic; a caller may say that it began at another time. */
  readonly startedAt: number;
  composite: { -readonly [Field in keyof Composite]: Composite[Field] } | undefined = undefined;
  readonly trace: LocalTrace;
  /** Whether its trace begins here with it. */
  readonly isFirst: boolean;
  /** Only until the end: what is held must not hold its ancestors. */
  parent: RecordedSpan | undefined;
  /** Its ids may be known elsewhere: to a callee, a child, a log line. */
  exposed = false;
  /** The last child that ended, while others like it may follow. */
  waiting: RecordedSpan | undefined = undefined;
  /** Who holds it for user code, to be told to let go. */
  holder: { record: RecordedSpan | undefined } | undefined = undefined;
  /** Neighbours in the list of open spans. */
  before: RecordedSpan | undefined = undefined;
  after: RecordedSpan | undefined = undefined;
  /** That list, while it is open, and how many bytes of this span that knows of. */
  among: { bytes: number } | undefined = undefined;
  weight = 0;
  /** With more bytes of attributes than this it is looked at again. */
  private weighedAt = grainBytes;
  private backdated = false;
  private readonly context: SpanContext;
  private readonly list: AttributeList;
  private object: Attributes | undefined = undefined;
  /** Its events and links, if there are any. */
  private parts: SpanParts | undefined = undefined;
  /** Bytes of the rest, attributes apart. */
  private ownBytes: number;
  /** Bytes that attributes may take, together. */
  private attributeRoom: number;

  constructor(
    private readonly origin: SpanOrigin,
    start: SpanStart,
  ) {
    const { now } = start;
    this.name = this.cut(start.name);
    this.ownBytes = emptyBytes + this.name.length;
    this.attributeRoom = origin.limits.maxSpanBytes - this.ownBytes;
    this.kind = start.kind;
    this.context = start.context;
    this.parentSpanContext = start.parentSpanContext;
    this.trace = start.trace;
    this.parent = start.parent;
    this.isFirst = start.isFirst;
    this.startedAt = now;
    this.startedMs = now + start.trace.offsetMs(now, origin.clock);
    this.list = new AttributeList(origin.limits);
  }

  get resource(): Resource {
    return this.origin.resource;
  }
  get instrumentationScope(): InstrumentationScope {
    return this.origin.scope;
  }
  get attributes(): Attributes {
    if (!this.ended) return this.list.toObject();
    this.object ??= this.list.toObject();
    return this.object;
  }
  get pairs(): readonly AttributePart[] {
    return this.list.read();
  }
  get events(): readonly RecordedEvent[] {
    return this.parts?.events ?? noEvents;
  }
  get links(): readonly RecordedLink[] {
    return this.parts?.links ?? noLinks;
  }
  /** Whether attributes are all that is written on it. */
  get isPlain(): boolean {
    return this.parts === undefined || this.parts.isEmpty;
  }
  get droppedAttributesCount(): number {
    return this.list.dropped;
  }
  get droppedEventsCount(): number {
    return this.parts?.droppedEvents ?? 0;
  }
  get droppedLinksCount(): number {
    return this.parts?.droppedLinks ?? 0;
  }
  get startTime(): HrTime {
    return hrTimeOf(this.startedMs);
  }
  get endTime(): HrTime {
    return hrTimeOf(this.ended ? this.endedMs : 0);
  }
  get duration(): HrTime {
    return this.ended ? hrTimeOf(this.lengthMs) : [-1, -1];
  }
  /** Milliseconds. */
  get lengthMs(): number {
    return this.endedMs - this.startedMs;
  }
  get traceState(): TraceState | undefined {
    return this.context.traceState;
  }
  get flags(): number {
    const remote = this.parentSpanContext?.isRemote === true ? remoteParent : 0;
    return this.context.traceFlags | remoteKnown | remote;
  }
  get bytes(): number {
    return this.ownBytes + this.writtenBytes;
  }

  spanContext(): SpanContext {
    this.exposed = true;
    return this.context;
  }
  isRecording(): boolean {
    return !this.ended;
  }
  flag(sampled: boolean): void {
    if (sampled) this.context.traceFlags |= sampledFlag;
    else this.context.traceFlags &= ~sampledFlag;
  }

  setAttribute(name: string, value: AttributeValue): this {
    if (!this.isOpen()) return this;
    this.list.set(name, value, this.attributeRoom);
    if (this.list.bytes > this.weighedAt) this.weigh();
    return this;
  }

  setAttributes(attributes: Attributes): this {
    if (!this.isOpen()) return this;
    this.list.setAll(attributes, this.attributeRoom);
    this.weigh();
    return this;
  }

  addEvent(name: string, attributesOrTime?: Attributes | TimeInput, time?: TimeInput): this {
    if (!this.isOpen()) return this;
    if (isTime(attributesOrTime)) this.happen(name, undefined, time ?? attributesOrTime);
    else this.happen(name, attributesOrTime, time);
    return this;
  }

  recordException(exception: Exception, time?: TimeInput): void {
    if (this.isOpen()) this.happen('exception', exceptionAttributes(exception), time);
  }

  addLink(link: Link): this {
    if (!this.isOpen()) return this;
    this.partly().addLink(link, this.partRoom());
    this.parted();
    return this;
  }

  addLinks(links: readonly Link[]): this {
    if (!this.isOpen()) return this;
    this.partly().addLinks(links, this.partRoom());
    this.parted();
    return this;
  }

  setStatus(status: SpanStatus): this {
    const said = this.isOpen() ? statusOf(status) : undefined;
    if (said === undefined || this.status.code === SpanStatusCode.OK) return this;
    this.own(-(this.status.message?.length ?? 0));
    const room = Math.max(leastMessage, this.attributeRoom - this.list.bytes);
    this.status = cutStatus(said, Math.min(room, this.origin.limits.maxAttributeLength));
    this.own(this.status.message?.length ?? 0);
    return this;
  }

  updateName(name: string): this {
    if (!this.isOpen()) return this;
    const cut = this.cut(name);
    this.own(cut.length - this.name.length);
    this.name = cut;
    return this;
  }

  end(time?: TimeInput): void {
    if (!this.isOpen()) return;
    const now = this.origin.clock.now();
    this.origin.ending(this);
    // A processor that ends it itself, in there.
    if (this.ended) return;
    const at = this.timeAt(now, time);
    // Before the start: that is the nearest that can be true.
    this.endedMs = at > this.startedMs ? at : this.startedMs;
    this.ended = true;
    if (this.holder !== undefined) this.holder.record = undefined;
    this.origin.ended(this, now);
  }

  /** Lets it have begun at a time that the caller tells. */
  backdate(time: TimeInput): void {
    this.startedMs = this.timeAt(this.startedAt, time);
    this.backdated = true;
  }

  /** Tells whoever adds up what the open ones take; not of every byte. */
  weigh(): void {
    const bytes = this.writtenBytes;
    if (bytes - this.weight < grainBytes || this.among === undefined) return;
    this.among.bytes += bytes - this.weight;
    this.weight = bytes;
    this.weighedAt = this.list.bytes + grainBytes;
  }

  /** Whether two spans say the same of some attributes. */
  agrees(other: RecordedSpan, names: ReadonlySet<unknown>): boolean {
    return this.list.agrees(other.list, names);
  }

  /** Writes on it although it may have ended or be full: what only whoever made it knows. */
  note(name: string, value: AttributeValue): void {
    this.object = undefined;
    this.list.force(name, value);
  }

  /** The same for an event. */
  noteEvent(name: string, attributes: Attributes): void {
    this.happen(name, attributes, undefined);
  }

  /** Stands for one more, which ended after it. */
  absorb(other: RecordedSpan): void {
    const { lengthMs } = other;
    if (this.composite === undefined) {
      const own = this.lengthMs;
      this.composite = { count: 1, sumMs: own, minMs: own, maxMs: own };
    }
    const { composite } = this;
    composite.count++;
    composite.sumMs += lengthMs;
    if (lengthMs < composite.minMs) composite.minMs = lengthMs;
    if (lengthMs > composite.maxMs) composite.maxMs = lengthMs;
    this.startedMs = Math.min(this.startedMs, other.startedMs);
    this.endedMs = Math.max(this.endedMs, other.endedMs);
  }

  private isOpen(): boolean {
    if (this.ended) this.trace.late();
    return !this.ended;
  }

  /** What a caller tells, or now, in wall time. */
  private timeAt(now: number, time: TimeInput | undefined): number {
    const offset = this.backdated
      ? this.trace.offsetMs(now, this.origin.clock)
      : this.startedMs - this.startedAt;
    if (time === undefined) return now + offset;
    const given = timeOf(time, now, offset);
    return Number.isNaN(given) ? now + offset : given;
  }

  /** Callers without types pass anything as a name. */
  private cut(text: unknown): string {
    const { maxAttributeLength } = this.origin.limits;
    if (typeof text === 'string' && text.length <= maxAttributeLength) return text;
    return String(cleanValue(text, maxAttributeLength));
  }

  /** Bytes of attributes, events and links. */
  private get writtenBytes(): number {
    return this.list.bytes + (this.parts === undefined ? 0 : this.parts.bytes);
  }

  /** It takes so many bytes more, or fewer. */
  private own(bytes: number): void {
    this.ownBytes += bytes;
    this.attributeRoom -= bytes;
  }

  /** Events and links may have changed. */
  private parted(): void {
    this.attributeRoom = this.origin.limits.maxSpanBytes - this.ownBytes - (this.parts?.bytes ?? 0);
    this.weigh();
  }

  private partRoom(): number {
    return this.origin.limits.maxSpanBytes - this.ownBytes - this.list.bytes;
  }

  private partly(): SpanParts {
    this.parts ??= new SpanParts(this.origin.limits);
    return this.parts;
  }

  private happen(name: string, attributes: Attributes | undefined, time: TimeInput | undefined): void {
    const what = { name: this.cut(name), atMs: this.timeAt(this.origin.clock.now(), time) };
    this.partly().addEvent(what, attributes, this.partRoom());
    this.parted();
  }
}
