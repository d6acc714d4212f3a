import type { AttributeValue, HrTime, SpanContext } from '@opentelemetry/api';
import { type EndedSpan, type Resource, resource } from 'keelson/tracer';

/** What of a span a test wants to say. */
export type SpanParts = Partial<
  Omit<EndedSpan, 'spanContext' | 'attributes' | 'pairs' | 'startTime' | 'endTime' | 'duration'>
> & { readonly context?: SpanContext; readonly pairs?: readonly unknown[] };

export const someResource: Resource = resource({ 'service.name': 'orders', 'service.instance.id': 'a-1' });
export const someScope = { name: 'keelson', version: '1.2.3' };

let serial = 0;

const hrTime = (ms: number): HrTime => [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)];

/** A context with ids that no other has. */
export function someContext(more: Partial<SpanContext> = {}): SpanContext {
  serial++;
  return {
    traceId: `a${serial.toString(16).padStart(31, '0')}`,
    spanId: `b${serial.toString(16).padStart(15, '0')}`,
    traceFlags: 1,
    ...more,
  };
}

/** A span that is over, as the tracer hands it on. */
export function endedSpan(parts: SpanParts = {}): EndedSpan {
  const { context = someContext(), pairs = [], ...rest } = parts;
  const startedMs = rest.startedMs ?? 1_700_000_000_000.25;
  const endedMs = rest.endedMs ?? startedMs + 12.5;
  const attributes: Record<string, AttributeValue> = {};
  for (let at = 0; at + 1 < pairs.length; at += 2)
    attributes[pairs[at] as string] = pairs[at + 1] as AttributeValue;
  return {
    name: 'GET /users/:id',
    kind: 1,
    spanContext: () => context,
    parentSpanContext: undefined,
    status: { code: 0 },
    links: [],
    events: [],
    ended: true,
    resource: someResource,
    instrumentationScope: someScope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
    startTime: hrTime(startedMs),
    endTime: hrTime(endedMs),
    duration: hrTime(endedMs - startedMs),
    startedMs,
    endedMs,
    traceState: context.traceState,
    flags: (context.traceFlags & 0xff) | 0x100,
    bytes: 400,
    composite: undefined,
    ...rest,
    attributes,
    pairs: pairs as EndedSpan['pairs'],
  };
}

/** A span as an HTTP server makes it: ten attributes, as many as such spans have. */
export function serverSpan(at = 1_700_000_000_000): EndedSpan {
  return endedSpan({
    startedMs: at,
    endedMs: at + 3.207_5,
    parentSpanContext: someContext({ isRemote: true }),
    flags: 0x301,
    pairs: [
      'http.request.method',
      'GET',
      'url.scheme',
      'http',
      'url.path',
      `/users/${serial}`,
      'http.route',
      '/users/:id',
      'server.address',
      'orders.internal',
      'server.port',
      8080,
      'client.address',
      '10.3.17.222',
      'network.protocol.version',
      '1.1',
      'user_agent.original',
      'node',
      'http.response.status_code',
      200,
    ],
  });
}
