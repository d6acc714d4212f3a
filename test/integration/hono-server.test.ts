import type http from 'node:http';
import http2 from 'node:http2';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { streamSSE } from 'hono/streaming';
import { type AppListenerOptions, currentCall } from 'keelson';
import { jwt } from 'keelson/auth';
import { GovernanceError } from 'keelson/core';
import { callOf, governHono } from 'keelson/hono';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type GovernedApp, governedApp } from '../doubles/governed-app.js';
import { h2Get } from '../doubles/h2-get.js';
import { rawClient } from '../doubles/raw-client.js';

let governed: GovernedApp | undefined;
afterEach(async () => {
  await governed?.close();
  governed = undefined;
});

const mine = new RangeError('mine');

function govern(written: Hono, options: AppListenerOptions = {}): GovernedApp {
  governed = governedApp();
  written.use(governHono(governed.app, { limits: [governed.record.gate], queue: false, ...options }));
  return governed;
}

async function shop(write: (shop: Hono) => unknown, options: AppListenerOptions = {}) {
  const written = new Hono();
  const running = govern(written, options);
  write(written);
  const server = createAdaptorServer(written) as http.Server;
  return { ...running, server, shop: written, ...(await running.listen(server)) };
}

describe('the operation', () => {
  it.each([
    ['/users/7', 'GET /users/:id', 'GET /users/:id'],
    ['/api/orders/7', 'GET /api/orders/:id', 'GET /api/orders/:id'],
    ['/both/7', 'GET /both/*', 'GET /both/:id'],
    ['/admin/open', 'GET /admin/*', 'GET /admin/*'],
    ['/elsewhere', 'GET', 'GET'],
  ])('of %s is %s for limits, and %s in the end', async (path, first, last) => {
    const operations: (string | undefined)[] = [];
    const { url, record, settled } = await shop((s) => {
      s.use('/api/*', async (_c, next) => next());
      s.use(async (c, next) => {
        await next();
        operations.push(callOf(c)?.operation);
      });
      const api = new Hono();
      api.get('/orders/:id', (c) => c.text('order'));
      s.route('/api', api);
      s.get('/users/:id', (c) => c.text('user'));
      s.get('/both/*', async (_c, next) => next());
      s.get('/both/:id', (c) => c.text('both'));
      // A handler, though it is registered as a middleware is, in front of another that fits.
      s.all('/admin/*', (c) => c.text('admin'));
      s.get('/:part/open', (c) => c.text('open'));
    });
    await (await fetch(url + path)).text();
    await settled(['success']);
    expect([record.asked, operations]).toEqual([[first], [last]]);
  });
});

describe('errors', () => {
  it('are answered as Hono does, and told if they are faults', async () => {
    const spy = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const { url, settled, faults } = await shop((s) => {
      s.get('/teapot', () => {
        throw new HTTPException(418, { message: 'short and stout' });
      });
      s.get('/mine', () => {
        throw mine;
      });
      s.get('/text', () => {
        // biome-ignore lint/style/useThrowOnlyError: what Hono makes of it is the question
        throw 'text';
      });
      s.get('/refused', () => {
        throw new GovernanceError('NO_ENDPOINT', 'nobody', { side: 'client' });
      });
    });
    const answers: unknown[] = [];
    for (const path of ['/teapot', '/mine', '/text', '/refused']) {
      const response = await fetch(url + path);
      answers.push([response.status, await response.text()]);
    }
    expect(answers).toEqual([
      [418, 'short and stout'],
      [500, 'Internal Server Error'],
      [500, ''],
      [503, 'NO_ENDPOINT\n'],
    ]);
    await settled(['success', 'failure', 'failure', 'failure']);
    expect(faults.map(({ error }) => error)).toEqual([mine, 'text']);
    spy.mockRestore();
  });

  it('are for onError of the user, who is not overridden', async () => {
    const { url, settled, faults } = await shop((s) => {
      s.onError((error, c) => c.text('handled', error === mine ? 409 : 500));
      s.get('/mine', () => {
        throw mine;
      });
      s.get('/refused', () => {
        throw new GovernanceError('NO_ENDPOINT', 'nobody', { side: 'client' });
      });
    });
    const answers: unknown[] = [];
    for (const path of ['/mine', '/refused']) {
      const response = await fetch(url + path);
      answers.push([response.status, await response.text()]);
    }
    expect(answers).toEqual([
      [409, 'handled'],
      [500, 'handled'],
    ]);
    await settled(['success', 'failure']);
    expect(faults).toEqual([]);
  });
});

it('leaves to middlewares what they add after next, and to notFound what is not found', async () => {
  const { url, settled } = await shop((s) => {
    s.use(async (c, next) => {
      await next();
      c.header('x-after', 'yes');
    });
    s.notFound((c) => c.text('nothing here', 404));
    s.get('/', (c) => c.text('ok'));
  });
  const found = await fetch(url);
  expect([await found.text(), found.headers.get('x-after')]).toEqual(['ok', 'yes']);
  const lost = await fetch(`${url}/lost`);
  expect([lost.status, await lost.text(), lost.headers.get('x-after')]).toEqual([404, 'nothing here', 'yes']);
  await settled(['success', 'success']);
});

it('answers 404 when it is all there is', async () => {
  const { url, settled } = await shop(() => undefined);
  const response = await fetch(url);
  expect([response.status, await response.text()]).toEqual([404, '404 Not Found']);
  await settled(['success']);
});

it('passes where there is no Node server', async () => {
  const { shop: written, record } = await shop((s) => {
    s.get('/', (c) => c.text(String(callOf(c))));
  });
  const response = await written.request('/');
  expect([response.status, await response.text()]).toEqual([200, 'undefined']);
  expect(record.asked).toEqual([]);
});

it('the call is there, and with it what the caller sent', async () => {
  const { url, settled } = await shop((s) => {
    s.post('/', async (c) => {
      const { a } = await c.req.json<{ a: number }>();
      const call = callOf(c);
      return c.json([a, call === currentCall(), call?.headers.get('x-md-global-colour')]);
    });
  });
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'x-md-global-colour': 'blue' },
    body: '{"a":1}',
  });
  expect(await response.json()).toEqual([1, true, 'blue']);
  await settled(['success']);
});

it('a stream of events is in flight until it ends', async () => {
  let go: () => void = () => undefined;
  const { url, record, settled } = await shop(
    (s) => {
      s.get('/events', (c) =>
        streamSSE(c, async (stream) => {
          await stream.writeSSE({ data: '1' });
          await new Promise<void>((resolve) => {
            go = resolve;
          });
          await stream.writeSSE({ data: '2' });
        }),
      );
    },
    { timeoutMs: 60_000 },
  );
  const response = await fetch(`${url}/events`);
  expect(record.inflight()).toBe(1);
  await vi.waitFor(() => expect(go.name).not.toBe('go'));
  go();
  expect(await response.text()).toBe('data: 1\n\ndata: 2\n\n');
  await settled(['success']);
});

it('a refused call says nothing on the console, and its connection lives', async () => {
  const spy = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  let open = false;
  const { port } = await shop((s) => void s.get('/', (c) => c.text('in')), {
    limits: [{ code: 'RATE_LIMITED', tryAcquire: () => (open ? { observe() {}, release() {} } : null) }],
    health: true,
  });
  const raw = await rawClient(port);
  const get = (path: string) => raw.socket.write(`GET ${path} HTTP/1.1\r\nhost: test\r\n\r\n`);
  get('/');
  await raw.until('RATE_LIMITED\n');
  get('/healthz');
  await raw.until('"status":"ok"');
  open = true;
  get('/');
  expect(await raw.until('\r\n\r\nin')).toContain('HTTP/1.1 200');
  expect(spy.mock.calls).toEqual([]);
  raw.socket.destroy();
  spy.mockRestore();
});

it('runs on HTTP/2', async () => {
  const written = new Hono();
  const { listen, settled, faults } = govern(written, { timeoutMs: 50 });
  let late: () => void = () => undefined;
  written.get('/users/:id', (c) => c.text(String(callOf(c)?.operation)));
  written.get('/slow', async (c) => {
    await new Promise<void>((resolve) => {
      late = resolve;
    });
    return c.text('late');
  });
  const server = createAdaptorServer({ fetch: written.fetch, createServer: http2.createServer });
  const { url } = await listen(server as never);
  const session = http2.connect(url);
  try {
    expect(await h2Get(session, '/users/7')).toEqual([200, 'GET /users/:id']);
    expect(await h2Get(session, '/slow')).toEqual([504, 'DEADLINE_EXCEEDED\n']);
    late();
    await settled(['success', 'failure']);
  } finally {
    session.close();
  }
  expect(faults).toEqual([]);
});

it('nobody is let in by asking for a WebSocket', async () => {
  const ran = vi.fn();
  const {
    shop: written,
    server,
    port,
    settled,
  } = await shop(
    (s) => {
      s.get('/purge', (c) => {
        ran();
        return c.text('gone');
      });
    },
    { use: [jwt({ secret: 's'.repeat(32) })] },
  );
  // As @hono/node-server does.
  server.on('upgrade', async (incoming, socket) => {
    const request = new Request(`http://test${incoming.url}`);
    const { status } = await written.fetch(request, { incoming, outgoing: undefined });
    socket.end(`HTTP/1.1 ${status} \r\n\r\n`);
  });
  const raw = await rawClient(port);
  raw.socket.write('GET /purge HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
  expect(await raw.closed()).toMatch(/^HTTP\/1\.1 401 /);
  await settled(['ignored']);
  expect(ran).not.toHaveBeenCalled();
});

it('an upload that does not come in time, or is broken off, is no fault', async () => {
  const broken = vi.fn();
  const { port, record, settled, faults } = await shop(
    (s) => {
      s.onError((_error, c) => {
        broken();
        return c.text('broken', 500);
      });
      s.post('/', async (c) => c.json(await c.req.json()));
    },
    { timeoutMs: ({ headers }) => (headers.get('x-patience') === 'none' ? 20 : 60_000) },
  );
  const upload = (patience: string) =>
    `POST / HTTP/1.1\r\nhost: test\r\nx-patience: ${patience}\r\ncontent-length: 100\r\n\r\n{"a":`;
  const slow = await rawClient(port);
  slow.socket.write(upload('none'));
  expect(await slow.closed()).toMatch(/^HTTP\/1\.1 504 /);
  const leaver = await rawClient(port);
  leaver.socket.write(upload('some'));
  await vi.waitFor(() => expect(record.asked).toHaveLength(2));
  leaver.socket.destroy();
  await vi.waitFor(() => expect(broken).toHaveBeenCalledTimes(2));
  await settled(['failure', 'ignored']);
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(faults).toEqual([]);
});
