import type { Attributes, TimeInput } from '@opentelemetry/api';
import { recordedSpan } from './active-span.js';
import { describe } from './span-record.js';

/**
 * Says something on the span that the running code belongs to: attributes, or an event, which has a name and a time.
 *
 * Use it for what a reader of the trace wants to know: which cache answered, how many rows. Not for what is secret or long.
 * Does nothing where nothing is recorded; work for attributes can be spared by asking `isRecorded()`.
 *
 * @example
 * ```ts
 * annotate({ 'cache.hit': true });
 * annotate('cache miss', { key: 'cart' });
 * annotate('received', {}, message.timestamp);
 * ```
 */
export function annotate(attributes: Attributes): void;
/**
 * Says that something happened: an event, which has a name, attributes of its own and a time.
 *
 * @param event - of low cardinality
 * @param attributes - of the event
 * @param at - when it happened; milliseconds since 1970, a `Date`, or what OpenTelemetry takes; now if left out
 */
export function annotate(event: string, attributes?: Attributes, at?: TimeInput): void;
export function annotate(what: Attributes | string, attributes?: Attributes, at?: TimeInput): void {
  const span = recordedSpan();
  if (span === undefined) return;
  describe(() => {
    if (typeof what === 'string') span.addEvent(what, attributes, at);
    else span.setAttributes(what);
  });
}

/** Whether the running code belongs to a span that is recorded, so that it pays to find out what to say on it. */
export function isRecorded(): boolean {
  return recordedSpan() !== undefined;
}
