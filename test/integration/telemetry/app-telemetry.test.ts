import http from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { type App, type AppOptions, createApp } from 'keelson';
import type { Gate } from 'keelson/core';
import { governExpress } from 'keelson/express';
import { rate } from 'keelson/limiter';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { listening, rawValues, type Service } from '../../doubles/traced-services.js';
import { type TracingSdk, tracingSdk } from '../../doubles/tracing-sdk.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function app(options: Partial<AppOptions>): App {
  const made = createApp({ service: 'shop', register: false, signals: false, drainPauseMs: 0, ...options });
  closers.push(() => made.stop());
  return made;
}

async function serving(
  made: App,
  handler: http.RequestListener,
  options: Parameters<App['listener']>[1] = {},
): Promise<string> {
  const server = http.createServer(made.listener(handler, options));
  await made.serve(server, { port: 0, host: '127.0.0.1' });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function callee(): Promise<Service & { seen: http.IncomingMessage[] }> {
  const seen: http.IncomingMessage[] = [];
  const service = await listening((request, response) => {
    seen.push(request);
    response.end('ok');
  });
  closers.push(() => service.close());
  return { ...service, seen };
}

function sdk(): TracingSdk {
  const made = tracingSdk();
  closers.push(() => made.stop());
  return made;
}

describe('the access log of an app', () => {
  it('has a line for each call of each server, and none is held back at the end', async () => {
    const written: string[] = [];
    const made = app({ accessLog: { to: { write: (text) => written.push(text) } } });
    const url = await serving(made, (_, response) => response.end('hello'), { routes: ['/items/:id'] });
    const other = await serving(made, (_, response) => void response.writeHead(503).end());
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await (await fetch(`${url}/items/7?x=1`, { headers: { traceparent } })).text();
    await (await fetch(other)).text();
    await made.stop();
    const lines = written
      .join('')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toEqual([
      expect.objectContaining({
        service: 'shop',
        operation: 'GET /items/:id',
        path: '/items/7',
        status: 200,
        response_flags: '-',
        peer: expect.stringContaining('127.0.0.1'),
        trace_id: '0af7651916cd43dd8448eb211c80319c',
      }),
      expect.objectContaining({ status: 503, error_type: '503', path: '/' }),
    ]);
  });

  it('says RL of what a rate limit refused, and UF, UH of what could not be called', async () => {
    const lines: string[] = [];
    const { url: refused, close } = await callee();
    await close();
    const made = app({
      accessLog: { to: (line) => lines.push(line) },
      endpoints: { away: [refused], nobody: [] },
      client: { retry: false, resolveTimeoutMs: 0 },
    });
    const limited = await serving(made, (_, response) => response.end(), {
      limits: [rate({ perSecond: 1, burst: 1 })],
    });
    const asks: http.RequestListener = async (request, response) => {
      const whom = request.url === '/away' ? 'away' : 'nobody';
      response.end(await (await made.fetch(whom)('/')).text());
    };
    const calls = await serving(made, asks, { onError: () => undefined });
    for (const url of [limited, limited, `${calls}/away`, `${calls}/nobody`]) await (await fetch(url)).text();
    await vi.waitFor(() => expect(lines).toHaveLength(4));
    expect(lines.map((line) => JSON.parse(line)).map((line) => [line.status, line.response_flags])).toEqual([
      [200, '-'],
      [429, 'RL'],
      [500, 'UF'],
      [503, 'UH'],
    ]);
  });

  it('says DC of a client that goes away', async () => {
    const lines: string[] = [];
    const made = app({ accessLog: { to: (line) => lines.push(line) } });
    const gone = new AbortController();
    const url = await serving(made, () => gone.abort());
    const running = fetch(url, { signal: gone.signal });
    await expect(running).rejects.toThrow();
    await vi.waitFor(() => expect(lines).toHaveLength(1));
    expect(JSON.parse(lines[0] as string)).toMatchObject({ response_flags: 'DC' });
    expect(JSON.parse(lines[0] as string)).not.toHaveProperty('status');
  });

  it.each([7, 'stdout'])('is checked: %j', (accessLog) => {
    expect(() => createApp({ service: 'shop', accessLog: accessLog as never })).toThrow(
      /createApp\.accessLog/,
    );
  });

  it('its options too, under the name that they were written by', () => {
    expect(() => createApp({ service: 'shop', accessLog: { format: 'xml' as never } })).toThrow(
      /createApp\.accessLog\.format/,
    );
  });
});

describe('propagation and headers of an app', () => {
  it('are those that were chosen, in and out', async () => {
    const spans = sdk();
    const users = await callee();
    const made = app({
      endpoints: { users: [users.url] },
      propagation: { extract: ['b3'], inject: ['b3', 'uber'] },
      traceHeaders: ['x-trace-id'],
    });
    const url = await serving(made, async (_, response) => {
      response.end(await (await made.fetch('users')('/')).text());
    });
    const trace = '0af7651916cd43dd8448eb211c80319c';
    const answer = await fetch(url, { headers: { b3: `${trace}-b7ad6b7169203331-1` } });
    expect(answer.headers.get('x-trace-id')).toBe(trace);
    await answer.text();
    const [client] = spans.ofKind('CLIENT');
    const spanId = client?.spanContext().spanId;
    const [seen] = users.seen as [http.IncomingMessage];
    expect(rawValues(seen, 'b3')).toEqual([`${trace}-${spanId}-1`]);
    expect(rawValues(seen, 'uber-trace-id')).toEqual([`${trace}:${spanId}:0:1`]);
    expect(rawValues(seen, 'traceparent')).toEqual([]);
  });

  /** What an answer tells of the one span that served it, and that span. */
  async function told(spans: TracingSdk, url: string): Promise<readonly unknown[]> {
    const { headers, status } = await fetch(url);
    await vi.waitFor(() => expect(spans.ofKind('SERVER')).toHaveLength(1));
    const { traceId, spanId } = spans.ofKind('SERVER')[0]?.spanContext() ?? {};
    const parent = `00-${traceId}-${spanId}-01`;
    expect(headers.get('x-trace-id')).toBe(traceId);
    expect(headers.get('traceresponse')).toBe(parent);
    expect(headers.get('server-timing')).toContain(`traceparent;desc="${parent}"`);
    return [status, headers.get('set-cookie')];
  }
  const all = { traceHeaders: ['x-trace-id', 'traceresponse', 'server-timing'] } as const;
  const full: Gate = { code: 'RATE_LIMITED', tryAcquire: () => null };

  it.each<[number, http.RequestListener, Parameters<App['listener']>[1]]>([
    [
      500,
      (_, response) => {
        response.setHeader('set-cookie', 'a=b');
        throw new Error('broken');
      },
      {},
    ],
    [504, () => undefined, { timeoutMs: 5 }],
    [429, () => undefined, { limits: [full] }],
  ])('are on a %i that nobody but the app answers', async (status, handler, options) => {
    const spans = sdk();
    const url = await serving(app(all), handler, { ...options, onError: () => undefined });
    expect(await told(spans, url)).toEqual([status, null]);
  });

  it('are on a refusal in front of a framework', async () => {
    const spans = sdk();
    const made = app(all);
    const server = http.createServer(express().use(governExpress(made, { limits: [full] })));
    await made.serve(server, { port: 0, host: '127.0.0.1' });
    const { port } = server.address() as AddressInfo;
    expect(await told(spans, `http://127.0.0.1:${port}`)).toEqual([429, null]);
  });

  it.each([
    [{ propagation: { inject: ['zipkin'] } }, /createApp\.propagation\.inject\[0\]/],
    [{ traceHeaders: ['etag'] }, /createApp\.traceHeaders\[0\]/],
  ])('are checked: %j', (options, message) => {
    expect(() => createApp({ service: 'shop', ...(options as object) })).toThrow(message);
  });

  it('a recorded call tells which endpoint was chosen, and why', async () => {
    const spans = sdk();
    const services = [await callee(), await callee()];
    const made = app({ endpoints: { users: services.map(({ url }) => url) } });
    const users = made.fetch('users');
    for (let left = 30; left > 0; left--) await (await users('/')).text();
    const told = spans.ofKind('CLIENT').map(({ attributes }) => attributes);
    expect(told).toHaveLength(30);
    for (const attributes of told)
      expect(attributes).toMatchObject({
        'keelson.endpoint': expect.any(String),
        'keelson.pick.choices': 2,
        'keelson.deadline.left_ms': expect.any(Number),
      });
    const compared = told.filter((attributes) => 'keelson.pick.rival' in attributes);
    expect(compared.length).toBeGreaterThan(0);
    for (const attributes of compared)
      expect(attributes['keelson.pick.rival']).not.toBe(attributes['keelson.endpoint']);
  });

  it('a recorded call of a server tells what it waited', async () => {
    const spans = sdk();
    const url = await serving(app({}), (_, response) => response.end());
    await (await fetch(url)).text();
    await vi.waitFor(() => expect(spans.ofKind('SERVER')).toHaveLength(1));
    expect(spans.ofKind('SERVER')[0]?.attributes['keelson.queue.wait_ms']).toBeGreaterThanOrEqual(0);
  });
});
