import type { EndedSpan } from '../tracer/ended-span.js';
import { printed } from './printed-line.js';

/** One span as a line of JSON, for whoever looks on while developing. */
function line(span: EndedSpan): string {
  const { traceId, spanId } = span.spanContext();
  return JSON.stringify({
    trace: traceId,
    span: spanId,
    parent: span.parentSpanContext?.spanId,
    name: span.name,
    kind: span.kind,
    startedAt: new Date(span.startedMs).toISOString(),
    ms: Math.round((span.endedMs - span.startedMs) * 1000) / 1000,
    status: span.status,
    attributes: span.attributes,
    events: span.events.map(({ name, atMs, attributes }) => ({ name, atMs, attributes })),
  });
}

/** Writes spans to standard output; `OTEL_TRACES_EXPORTER=console`. Of the shape of the SDK's exporters. */
export const consoleExporter = {
  export(spans: readonly EndedSpan[], done: (result: { readonly code: number }) => void): void {
    void printed(spans.map(line).join('\n')).then(() => done({ code: 0 }));
  },
  forceFlush: (): Promise<void> => Promise.resolve(),
  shutdown: (): Promise<void> => Promise.resolve(),
};
