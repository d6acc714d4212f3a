import diagnosticsChannel from 'node:diagnostics_channel';
import http from 'node:http';
import { createRequire } from 'node:module';
import { context, propagation, SpanKind, trace } from '@opentelemetry/api';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { AlwaysOffSampler, ParentBasedSampler } from '@opentelemetry/sdk-trace-base';
import { compose, type Middleware, nameOperation } from 'keelson/core';
import type { HttpRequest } from 'keelson/http';
import { attemptTracing, httpClientSemantics, tracing } from 'keelson/telemetry';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  clientCall,
  leafTo,
  listening,
  rawValues,
  type Service,
  tracedClient,
  tracedServer,
} from '../../doubles/traced-services.js';
import { type TracingSdk, type TracingSdkOptions, tracingSdk } from '../../doubles/tracing-sdk.js';

// The table of what happens beside auto-instrumentation, row by row, with the real one.

const instrumentHttp = new HttpInstrumentation({ enabled: false });
const instrumentUndici = new UndiciInstrumentation({ enabled: false });
const open: Service[] = [];
let sdk: TracingSdk | undefined;
let instrumented = false;

function start(options: TracingSdkOptions & { readonly auto: boolean }): TracingSdk {
  sdk = tracingSdk(options);
  if (options.auto) {
    instrumented = true;
    instrumentHttp.enable();
    instrumentUndici.setConfig({ enabled: true });
    instrumentUndici.enable();
    for (const instrumentation of [instrumentHttp, instrumentUndici])
      instrumentation.setTracerProvider(trace.getTracerProvider());
    // A module is patched when it is required after that.
    createRequire(import.meta.url)('http');
  }
  return sdk;
}

const kept = async (service: Promise<Service>): Promise<Service> => {
  const up = await service;
  open.push(up);
  return up;
};

/** Without a span of its own, as a caller outside of the system. */
function get(url: string, headers: Record<string, string | string[]> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const { hostname, port, pathname } = new URL(url);
    const silent = context
      .active()
      .setValue(Symbol.for('OpenTelemetry SDK Context Key SUPPRESS_TRACING'), true);
    context.with(silent, () => {
      http
        .get({ hostname, port, path: pathname, headers, agent: false }, (response) => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0));
        })
        .on('error', reject);
    });
  });
}

/** Spans end with the closing of sockets, a moment after the answer. */
const settled = (count: number) => vi.waitFor(() => expect(sdk?.spans()).toHaveLength(count));

/** What arrived at the last service of the chain. */
interface Arrival {
  traceparent: string[];
  baggage: string[];
}
async function callee(): Promise<{ url: string; arrivals: Arrival[] }> {
  const arrivals: Arrival[] = [];
  const { url } = await kept(
    listening((request, response) => {
      arrivals.push({
        traceparent: rawValues(request, 'traceparent'),
        baggage: rawValues(request, 'baggage'),
      });
      response.end('{}');
    }),
  );
  return { url, arrivals };
}

afterEach(async () => {
  if (instrumented) {
    instrumentHttp.disable();
    instrumentUndici.disable();
    instrumented = false;
  }
  for (const service of open.splice(0)) await service.close();
  await sdk?.stop();
  sdk = undefined;
});

const inboundTrace = '0af7651916cd43dd8448eb211c80319c';
const inbound = { traceparent: `00-${inboundTrace}-b7ad6b7169203331-01`, baggage: 'tenant=acme' };

/** shop, which is called, calls `callee` by our client. */
async function chain(sender?: (url: string) => () => Promise<unknown>) {
  const last = await callee();
  const call =
    sender?.(last.url) ?? (() => tracedClient(last.url)('/items/7?sig=secret').then((r) => r.text()));
  const shop = await kept(
    tracedServer(
      async (_, response, served) => {
        nameOperation(served, 'GET /orders/:id');
        await call();
        response.end('done');
      },
      { routes: [] },
    ),
  );
  return { shop, last };
}

/** The auto-instrumented callee makes a span of its own; it is not what is asked for here. */
const ofShop = (kind: 'SERVER' | 'CLIENT') =>
  sdk?.ofKind(kind).filter((span) => !(kind === 'SERVER' && span.name === 'GET')) ?? [];

describe('a naive middleware beside auto-instrumentation (the control: this is what must not happen)', () => {
  it('doubles the CLIENT span and puts two traceparents on the wire', async () => {
    start({ auto: true });
    const last = await callee();
    const tracer = trace.getTracer('naive');
    const span = tracer.startSpan('GET', { kind: SpanKind.CLIENT });
    await context.with(trace.setSpan(context.active(), span), async () => {
      const headers: Record<string, string> = {};
      propagation.inject(context.active(), headers);
      await (await fetch(`${last.url}/items/7`, { headers })).text();
    });
    span.end();
    await settled(3);
    expect(sdk?.ofKind('CLIENT')).toHaveLength(2);
    const values = last.arrivals[0]?.traceparent.flatMap((value) => value.split(',')) ?? [];
    expect(values).toHaveLength(2);
  });

  it('sends nothing at all when it suppresses first and injects then', async () => {
    start({ auto: true });
    const span = trace.getTracer('naive').startSpan('GET');
    const key = Symbol.for('OpenTelemetry SDK Context Key SUPPRESS_TRACING');
    const headers: Record<string, string> = {};
    propagation.inject(trace.setSpan(context.active(), span).setValue(key, true), headers);
    span.end();
    expect(headers).toEqual({});
  });
});

describe('with HttpInstrumentation and UndiciInstrumentation', () => {
  it('there is one SERVER span, named by the route, one CLIENT span below it, one trace, one traceparent', async () => {
    start({ auto: true });
    expect(diagnosticsChannel.channel('undici:request:create').hasSubscribers).toBe(true);
    const { shop, last } = await chain();
    expect(await get(`${shop.url}/orders/1`, inbound)).toBe(200);
    await settled(3);
    const [server] = ofShop('SERVER');
    const [client] = ofShop('CLIENT');
    expect(ofShop('SERVER')).toHaveLength(1);
    expect(ofShop('CLIENT')).toHaveLength(1);
    expect(server?.instrumentationScope.name).toContain('instrumentation-http');
    expect(server?.name).toBe('GET /orders/:id');
    expect(server?.attributes['http.route']).toBe('/orders/:id');
    expect(client?.instrumentationScope.name).toBe('keelson');
    expect(client?.parentSpanContext?.spanId).toBe(server?.spanContext().spanId);
    expect(new Set(sdk?.spans().map((span) => span.spanContext().traceId))).toEqual(new Set([inboundTrace]));
    expect(last.arrivals).toEqual([
      { traceparent: [`00-${inboundTrace}-${client?.spanContext().spanId}-01`], baggage: ['tenant=acme'] },
    ]);
  });

  it('the same by node:http, which is patched in another way', async () => {
    start({ auto: true });
    expect((http.request as { __wrapped?: unknown }).__wrapped).toBe(true);
    const { shop, last } = await chain((url) => {
      const semantics = httpClientSemantics;
      const send = leafTo<HttpRequest, { status: number }>(
        url,
        attemptTracing<HttpRequest, { status: number }>({ semantics })(
          ({ method, path }, call) =>
            new Promise((resolve, reject) => {
              const headers = Object.fromEntries(
                [...call.headers.keys()].map((name) => [name, call.headers.get(name)]),
              );
              http
                .request(`${url}${path}`, { method, headers, agent: false }, (response) => {
                  response.resume().on('end', () => resolve({ status: response.statusCode ?? 0 }));
                })
                .on('error', reject)
                .end();
            }),
        ),
      );
      const client = compose([tracing<HttpRequest, { status: number }>({ side: 'client', semantics })], send);
      return () => client({ method: 'GET', path: '/items/7', init: undefined }, clientCall());
    });
    await get(`${shop.url}/orders/1`, inbound);
    await settled(3);
    const [client, ...more] = ofShop('CLIENT');
    expect(more).toEqual([]);
    expect(last.arrivals[0]?.traceparent).toEqual([`00-${inboundTrace}-${client?.spanContext().spanId}-01`]);
  });

  it('a route that is known before the handler runs names the span too, and assigned ones are kept', async () => {
    start({ auto: true });
    const shop = await kept(tracedServer((_, response) => void response.end(), { routes: ['/orders/:id'] }));
    await get(`${shop.url}/orders/1`);
    const other = await kept(
      tracedServer((_, response) => {
        const metadata = context.active().getValue(Symbol.for('OpenTelemetry SDK Context Key RPC_METADATA'));
        (metadata as { route?: string }).route = '/by-express/:id';
        response.end();
      }),
    );
    await get(`${other.url}/by-express/1`);
    await settled(2);
    expect(sdk?.spans().map((span) => span.name)).toEqual(['GET /orders/:id', 'GET /by-express/:id']);
  });

  it('baggage that the instrumentation took from a peer that is not trusted goes no further', async () => {
    start({ auto: true });
    const last = await callee();
    const seen: unknown[] = [];
    const shop = await kept(
      tracedServer(
        async (_, response) => {
          seen.push(propagation.getActiveBaggage());
          await (await tracedClient(last.url)('/items/7')).text();
          response.end();
        },
        { trust: false },
      ),
    );
    await get(`${shop.url}/orders/1`, inbound);
    await settled(3);
    expect(seen).toEqual([undefined]);
    expect(last.arrivals[0]?.baggage).toEqual([]);
    expect(last.arrivals[0]?.traceparent[0]).toContain(inboundTrace);
  });

  it('a request that the instrumentation decided not to record gets no second decision', async () => {
    start({
      auto: true,
      sampler: new ParentBasedSampler({
        root: new AlwaysOffSampler(),
        remoteParentNotSampled: new AlwaysOffSampler(),
      }),
    });
    const { shop, last } = await chain();
    await get(`${shop.url}/orders/1`, { traceparent: inbound.traceparent.replace(/01$/, '00') });
    expect(sdk?.spans()).toEqual([]);
    expect(last.arrivals[0]?.traceparent).toHaveLength(1);
    expect(last.arrivals[0]?.traceparent[0]).toMatch(new RegExp(`^00-${inboundTrace}-[\\da-f]{16}-00$`));
  });

  it('failures of the handler are on the span of the instrumentation', async () => {
    start({ auto: true });
    const shop = await kept(
      tracedServer(() => {
        throw new TypeError('out of paper');
      }),
    );
    expect(await get(`${shop.url}/orders/1`)).toBe(500);
    await settled(1);
    const [span] = sdk?.spans() ?? [];
    expect(span?.attributes['error.type']).toBe('TypeError');
    expect(span?.events.map((event) => event.attributes?.['exception.message'])).toEqual(['out of paper']);
  });

  it('without a context manager nobody can be silenced, so only the instrumentation writes', async () => {
    start({ auto: true, contextManager: false });
    const last = await callee();
    await (await tracedClient(last.url)('/items/7')).text();
    await vi.waitFor(() => expect(sdk?.ofKind('CLIENT')).toHaveLength(1));
    expect(sdk?.ofKind('CLIENT')[0]?.instrumentationScope.name).toContain('undici');
    expect(last.arrivals[0]?.traceparent).toHaveLength(1);
  });

  it('other spans of user code nest below the adopted one, and those of the platform below the CLIENT span', async () => {
    start({ auto: true });
    const shop = await kept(
      tracedServer((_, response) => {
        trace.getTracer('user').startSpan('work').end();
        response.end();
      }),
    );
    await get(`${shop.url}/orders/1`);
    await settled(2);
    const [server] = sdk?.ofKind('SERVER') ?? [];
    expect(sdk?.ofKind('INTERNAL')[0]?.parentSpanContext?.spanId).toBe(server?.spanContext().spanId);
  });
});

describe('with auto-instrumentation off', () => {
  it('there are our two spans, in one trace', async () => {
    start({ auto: false });
    expect((http.request as { __wrapped?: unknown }).__wrapped).not.toBe(true);
    const { shop, last } = await chain();
    await get(`${shop.url}/orders/1`, inbound);
    await settled(2);
    const [server] = sdk?.ofKind('SERVER') ?? [];
    const [client] = sdk?.ofKind('CLIENT') ?? [];
    expect(server?.name).toBe('GET /orders/:id');
    expect(server?.parentSpanContext?.spanId).toBe('b7ad6b7169203331');
    expect(client?.name).toBe('GET /items/:id');
    expect(client?.parentSpanContext?.spanId).toBe(server?.spanContext().spanId);
    expect(last.arrivals).toEqual([
      { traceparent: [`00-${inboundTrace}-${client?.spanContext().spanId}-01`], baggage: ['tenant=acme'] },
    ]);
  });

  it('a span that was active when the server was started is no parent of its requests', async () => {
    start({ auto: false });
    const boot = trace.getTracer('user').startSpan('boot', { kind: SpanKind.SERVER });
    const within = trace.setSpan(context.active(), boot);
    const shop = await context.with(within, () => kept(tracedServer((_, response) => void response.end())));
    boot.end();
    await get(`${shop.url}/orders/1`);
    await settled(2);
    expect(sdk?.spans()[1]?.parentSpanContext).toBeUndefined();
  });

  it('nothing is traced and nothing written for a call in a suppressed context', async () => {
    start({ auto: false });
    const last = await callee();
    const silent = context
      .active()
      .setValue(Symbol.for('OpenTelemetry SDK Context Key SUPPRESS_TRACING'), true);
    await context.with(silent, async () => {
      await (await tracedClient(last.url)('/items/7')).text();
    });
    expect(sdk?.spans()).toEqual([]);
    expect(last.arrivals).toEqual([{ traceparent: [], baggage: [] }]);
  });

  it('without a context manager the inbound call still leads from one to the other', async () => {
    start({ auto: false, contextManager: false });
    const { shop, last } = await chain();
    await get(`${shop.url}/orders/1`, inbound);
    await settled(2);
    const [server] = sdk?.ofKind('SERVER') ?? [];
    expect(sdk?.ofKind('CLIENT')[0]?.parentSpanContext?.spanId).toBe(server?.spanContext().spanId);
    expect(last.arrivals[0]?.baggage).toEqual(['tenant=acme']);
  });
});

describe('tries', () => {
  const twice: Middleware<HttpRequest, Response> = (next) => async (request, call) => {
    await (await next(request, call)).text();
    const { fork } = await import('keelson/core');
    return next(request, fork(call));
  };

  it('are a CLIENT span each, with the count of the resend, below one INTERNAL span', async () => {
    start({ auto: true });
    const last = await callee();
    const response = await tracedClient(last.url, { logicalSpan: true, between: [twice] })(
      '/items/7?a=1&sig=secret',
    );
    await response.text();
    await settled(5);
    const [logical] = sdk?.ofKind('INTERNAL') ?? [];
    const tries = sdk?.ofKind('CLIENT') ?? [];
    expect(logical?.name).toBe('users GET /items/:id');
    expect(logical?.attributes).toMatchObject({ 'service.peer.name': 'users', 'keelson.attempts': 2 });
    expect(tries.map((span) => span.parentSpanContext?.spanId)).toEqual([
      logical?.spanContext().spanId,
      logical?.spanContext().spanId,
    ]);
    expect(tries.map((span) => span.attributes['http.request.resend_count'])).toEqual([undefined, 1]);
    expect(tries[0]?.attributes).toMatchObject({
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'server.address': '127.0.0.1',
      'server.port': Number(new URL(last.url).port),
      'url.full': `${last.url}/items/7?a=1&sig=REDACTED`,
      'url.template': '/items/:id',
      'keelson.endpoint': 'e1',
      'keelson.pick.reason': 'only',
    });
    expect(last.arrivals.map((arrival) => arrival.traceparent)).toEqual(
      tries.map((span) => [`00-${span.spanContext().traceId}-${span.spanContext().spanId}-01`]),
    );
  });
});
