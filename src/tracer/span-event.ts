import {
  type Attributes,
  type HrTime,
  isSpanContextValid,
  type Link,
  type SpanContext,
} from '@opentelemetry/api';
import { AttributeList } from './attribute-list.js';
import type { SpanEvent, SpanLink } from './ended-span.js';
import { hrTimeOf } from './hr-time.js';
import type { SpanLimits } from './span-limits.js';

/** What an event or a link takes besides its name and attributes. */
const ownBytes = 32;

const none: Attributes = Object.freeze({});

/** Event or link: what both have. */
class Part {
  readonly attributes: Attributes;
  readonly droppedAttributesCount: number;
  /** About how many bytes it takes. */
  bytes: number;

  constructor(attributes: Attributes | undefined, limits: SpanLimits, room: number) {
    if (attributes === undefined || attributes === null) {
      this.attributes = none;
      this.droppedAttributesCount = 0;
      this.bytes = ownBytes;
      return;
    }
    const list = new AttributeList(limits);
    list.setAll(attributes, room - ownBytes);
    this.attributes = list.toObject();
    this.droppedAttributesCount = list.dropped;
    this.bytes = list.bytes + ownBytes;
  }
}

/** What happened, when. */
export interface Happening {
  readonly name: string;
  readonly atMs: number;
}

/** One event of a span that is recorded. */
export class RecordedEvent extends Part implements SpanEvent {
  readonly name: string;
  readonly atMs: number;

  /** @param room - bytes that it may take, name included */
  constructor({ name, atMs }: Happening, attributes: Attributes | undefined, within: Within) {
    super(attributes, within.limits, within.room - name.length);
    this.name = name;
    this.atMs = atMs;
    this.bytes += name.length;
  }

  get time(): HrTime {
    return hrTimeOf(this.atMs);
  }
}

/** How much room there is. */
export interface Within {
  readonly limits: SpanLimits;
  /** Bytes. */
  readonly room: number;
}

/** One link of a span that is recorded. */
export class RecordedLink extends Part implements SpanLink {
  constructor(
    readonly context: SpanContext,
    attributes: Attributes | undefined,
    { limits, room }: Within,
  ) {
    super(attributes, limits, room);
  }
}

/** A copy, since what is linked belongs to somebody else, who may change it, or may have made it of getters. */
function copied({ traceId, spanId, traceFlags, traceState, isRemote }: SpanContext): SpanContext {
  return {
    traceId,
    spanId,
    traceFlags: traceFlags & 0xff,
    ...(typeof traceState?.serialize === 'function' && { traceState }),
    ...(isRemote === true && { isRemote }),
  };
}

/**
 * Makes a link of what a user gives.
 *
 * @returns `undefined` for one that leads nowhere: collectors refuse all that comes together with an id that is none
 */
export function linkOf(given: Link, within: Within): RecordedLink | undefined {
  try {
    const context = copied(given.context);
    const hasTexts = typeof context.traceId === 'string' && typeof context.spanId === 'string';
    if (!hasTexts || !isSpanContextValid(context)) return undefined;
    return new RecordedLink(context, given.attributes, within);
  } catch {
    return undefined;
  }
}
