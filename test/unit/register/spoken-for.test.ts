import {
  type Context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type TextMapPropagator,
  trace,
} from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { isSpokenFor } from '../../../src/register/spoken-for.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { attemptContext } from '../../../src/telemetry/attempt-context.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const other = '00f067aa0ba902b7';

function within(kind: SpanKind, governed: boolean, id = spanId): Context {
  const span = trace.wrapSpanContext({ traceId, spanId: id, traceFlags: 1 });
  const made: Span = Object.assign(span, { kind, ended: false });
  return governed ? attemptContext(ROOT_CONTEXT, made) : trace.setSpan(ROOT_CONTEXT, made);
}

afterEach(() => propagation.disable());
const xray: TextMapPropagator = {
  fields: () => ['X-Amzn-Trace-Id'],
  inject: () => undefined,
  extract: (base) => base,
};

describe('a request is spoken for', () => {
  const words = [
    ['traceparent', (id: string) => `00-${traceId}-${id}-01`],
    ['b3', (id: string) => `${traceId}-${id}-1`],
    ['x-b3-spanid', (id: string) => id],
    ['uber-trace-id', (id: string) => `${traceId}:${id}:0:1`],
    ['x-amzn-trace-id', (id: string) => `Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=${id};Sampled=1`],
  ] as const;

  it.each(words)('by whoever has made its CLIENT span and written its id: %s', (name, write) => {
    propagation.setGlobalPropagator(xray);
    const [own, others] = [spanId, other].map((id) => new Map([[name, write(id)]]));
    for (const governed of [true, false]) {
      expect(isSpokenFor(within(SpanKind.CLIENT, governed), own as Map<string, string>)).toBe(true);
      expect(isSpokenFor(within(SpanKind.CLIENT, governed), others as Map<string, string>)).toBe(false);
    }
    // The span of a governed call that is not recorded has no kind; that of somebody else has to be a client's.
    expect(isSpokenFor(within(SpanKind.INTERNAL, true), own as Map<string, string>)).toBe(true);
    expect(isSpokenFor(within(SpanKind.INTERNAL, false), own as Map<string, string>)).toBe(false);
  });

  it('by who governs it and has said who calls, whether there are ids or not', () => {
    const named = new Map([['x-md-service-name', 'shop']]);
    for (const id of [spanId, '0'.repeat(16)]) {
      expect(isSpokenFor(within(SpanKind.CLIENT, true, id), named)).toBe(true);
      expect(isSpokenFor(within(SpanKind.CLIENT, false, id), named)).toBe(false);
      expect(isSpokenFor(within(SpanKind.CLIENT, true, id), new Map())).toBe(false);
    }
    expect(isSpokenFor(ROOT_CONTEXT, named)).toBe(false);
  });
});
