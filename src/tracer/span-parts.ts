import type { Attributes, Link } from '@opentelemetry/api';
import { type Happening, linkOf, RecordedEvent, type RecordedLink } from './span-event.js';
import type { SpanLimits } from './span-limits.js';

/**
 * Events and links of one span while it is made, so many and in so many bytes. Of events the last stay, of links the first.
 * Most spans have none, and none of this.
 */
export class SpanParts {
  readonly events: RecordedEvent[] = [];
  readonly links: RecordedLink[] = [];
  droppedEvents = 0;
  droppedLinks = 0;
  /** About how many bytes they take. */
  bytes = 0;

  constructor(private readonly limits: SpanLimits) {}

  /** Whether there was none, not even one that was left out. */
  get isEmpty(): boolean {
    const { events, links, droppedEvents, droppedLinks } = this;
    return events.length + links.length + droppedEvents + droppedLinks === 0;
  }

  /** @param whole - bytes that all of them may take */
  addEvent(what: Happening, attributes: Attributes | undefined, whole: number): void {
    const { limits, events } = this;
    if (limits.maxEvents === 0) {
      this.droppedEvents++;
      return;
    }
    if (events.length >= limits.maxEvents) this.forget();
    const room = Math.max(whole / 2, whole - this.bytes);
    const made = new RecordedEvent(what, attributes, { limits, room });
    while (this.bytes + made.bytes > whole && events.length > 0) this.forget();
    if (this.bytes + made.bytes > whole) {
      this.droppedEvents++;
      return;
    }
    events.push(made);
    this.bytes += made.bytes;
  }

  /** @param whole - bytes that all of them may take */
  addLink(link: Link, whole: number): void {
    const { limits, links } = this;
    const room = whole - this.bytes;
    const made = links.length < limits.maxLinks ? linkOf(link, { limits, room }) : undefined;
    if (made === undefined || made.bytes > room) {
      this.droppedLinks++;
      return;
    }
    links.push(made);
    this.bytes += made.bytes;
  }

  /** Each of a list; what is none, or throws when it is read, counts as one. */
  addLinks(given: readonly Link[], whole: number): void {
    try {
      for (const link of given) this.addLink(link, whole);
    } catch {
      this.droppedLinks++;
    }
  }

  /** The oldest event makes room. */
  private forget(): void {
    const oldest = this.events.shift();
    if (oldest === undefined) return;
    this.bytes -= oldest.bytes;
    this.droppedEvents++;
  }
}
