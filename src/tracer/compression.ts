import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import type { Composite } from './ended-span.js';
import type { RecordedSpan } from './recorded-span.js';

/** What says who was called. */
const peerNames: ReadonlySet<unknown> = new Set([
  'service.peer.name',
  'peer.service',
  'server.address',
  'server.port',
  'net.peer.name',
  'net.peer.port',
  'db.system.name',
  'db.system',
  'db.namespace',
  'messaging.system',
  'messaging.destination.name',
  'rpc.system.name',
]);

/**
 * Whether a span that has ended may be shown as one of many: an exit (CLIENT, PRODUCER) that was short and did not fail, of
 * which nobody else knows the ids, and on which nothing more is written than attributes.
 */
export function canJoin(span: RecordedSpan, maxMs: number): boolean {
  return (
    (span.kind === SpanKind.CLIENT || span.kind === SpanKind.PRODUCER) &&
    !span.exposed &&
    span.lengthMs <= maxMs &&
    span.status.code !== SpanStatusCode.ERROR &&
    span.isPlain
  );
}

/** Whether two that may join are of one kind: same name, same library, same peer. */
export function isAlike(one: RecordedSpan, other: RecordedSpan): boolean {
  return (
    one.name === other.name &&
    one.kind === other.kind &&
    one.instrumentationScope === other.instrumentationScope &&
    one.agrees(other, peerNames)
  );
}

/** Writes what a composite stands for on it, for exporters that know attributes only. */
export function describeComposite(span: RecordedSpan, { count, sumMs, minMs, maxMs }: Composite): void {
  span.note('keelson.composite.count', count);
  span.note('keelson.composite.sum_ms', sumMs);
  span.note('keelson.composite.min_ms', minMs);
  span.note('keelson.composite.max_ms', maxMs);
}
