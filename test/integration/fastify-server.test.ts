import { ServerResponse } from 'node:http';
import http2 from 'node:http2';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import fastify, { type FastifyInstance, type FastifyPluginCallback } from 'fastify';
import { type AppListenerOptions, currentCall } from 'keelson';
import { jwt } from 'keelson/auth';
import { GovernanceError } from 'keelson/core';
import { callOf, governFastify } from 'keelson/fastify';
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

async function shop(write: (shop: FastifyInstance) => unknown, options: AppListenerOptions = {}) {
  governed = governedApp();
  const { app, record } = governed;
  const written = fastify();
  written.register(governFastify(app, { limits: [record.gate], queue: false, ...options }));
  await write(written);
  await written.ready();
  return { ...governed, shop: written, ...(await governed.listen(written.server)) };
}

describe('the operation', () => {
  it.each([
    ['/users/7', 'GET /users/:id'],
    ['/api/orders/7?x=1', 'GET /api/orders/:id'],
    ['/files/a/b', 'GET /files/*'],
    ['/elsewhere/7', 'GET'],
  ])('of %s is %s from the beginning', async (path, operation) => {
    const { url, record, settled } = await shop((s) => {
      s.get('/users/:id', async () => 'user');
      s.get('/files/*', async () => 'file');
      const api: FastifyPluginCallback = (scope, _options, done) => {
        scope.get('/orders/:id', async () => 'order');
        done();
      };
      s.register(api, { prefix: '/api' });
    });
    await (await fetch(url + path)).text();
    await settled(['success']);
    expect(record.asked).toEqual([operation]);
  });

  it('is found among routes that are given, for limits, and is the route in the end', async () => {
    const operations: unknown[] = [];
    const { url, record, settled } = await shop(
      (s) =>
        void s.get('/users/:id', async (request) => {
          operations.push(callOf(request)?.operation);
          return 'user';
        }),
      { routes: ['/users/*'] },
    );
    await (await fetch(`${url}/users/7`)).text();
    await settled(['success']);
    expect([record.asked, operations]).toEqual([['GET /users/*'], ['GET /users/:id']]);
  });
});

describe('errors', () => {
  it('are for the error handler of the user, who is not overridden', async () => {
    const seen: unknown[] = [];
    const { url, settled, faults } = await shop((s) => {
      s.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
        seen.push(error.statusCode);
        reply.code(error === mine ? 409 : 418).send('handled');
      });
      s.get('/mine', async () => {
        throw mine;
      });
      s.get('/refused', async () => {
        throw new GovernanceError('NO_ENDPOINT', 'nobody', { side: 'client' });
      });
    });
    const statuses: number[] = [];
    for (const path of ['/mine', '/refused']) {
      const response = await fetch(url + path);
      expect(await response.text()).toBe('handled');
      statuses.push(response.status);
    }
    expect([statuses, seen]).toEqual([
      [409, 418],
      [undefined, 503],
    ]);
    await settled(['success', 'success']);
    expect(faults).toEqual([]);
  });

  it('of schemas and parsers are the client’s', async () => {
    const { url, settled, faults } = await shop((s) => {
      s.post('/', { schema: { body: { type: 'object', required: ['a'] } } }, async () => 'ok');
    });
    const statuses: number[] = [];
    for (const body of ['{', '{}', '{"a":1}']) {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      });
      await response.text();
      statuses.push(response.status);
    }
    expect(statuses).toEqual([400, 400, 200]);
    await settled(['success', 'success', 'success']);
    expect(faults).toEqual([]);
  });
});

it('governs scopes and hooks of plugins, wherever they were made', async () => {
  const seen: boolean[] = [];
  const { url, settled } = await shop((s) => {
    const look = () => void seen.push(currentCall() !== undefined);
    s.addHook('onRequest', async () => look());
    s.addHook('preHandler', async () => look());
    s.register((scope, _options, done) => {
      scope.addHook('preValidation', async () => look());
      scope.post('/inner', async (request) => {
        seen.push(callOf(request) === currentCall());
        return 'inner';
      });
      done();
    });
  });
  const response = await fetch(`${url}/inner`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  expect(await response.text()).toBe('inner');
  expect(seen).toEqual([true, true, true, true]);
  await settled(['success']);
});

it('leaves nothing in flight of requests that are injected', async () => {
  const {
    shop: written,
    settled,
    faults,
  } = await shop((s) => {
    s.get('/users/:id', async (request) => callOf(request)?.operation);
    s.get('/broken', async () => {
      throw mine;
    });
  });
  expect((await written.inject('/users/7')).body).toBe('GET /users/:id');
  expect((await written.inject('/broken')).statusCode).toBe(500);
  await settled([expect.any(String), expect.any(String)] as never);
  expect(faults.map(({ error }) => error)).toEqual([mine]);
});

it('sheds requests that are injected', async () => {
  const { shop: written } = await shop((s) => void s.get('/', async () => 'ok'), {
    limits: [{ code: 'OVERLOADED', tryAcquire: () => null }],
  });
  const { statusCode, headers } = await written.inject('/');
  expect([statusCode, headers['x-keelson-shed']]).toEqual([503, 'OVERLOADED']);
});

it('a stream is in flight until it ends, and one that breaks is a failure', async () => {
  const { url, settled } = await shop((s) => {
    s.get('/good', async (_request, reply) => reply.send(Readable.from(['a', 'b'])));
    s.get('/bad', async (_request, reply) =>
      reply.send(
        Readable.from(
          (async function* () {
            yield 'a';
            await new Promise((resolve) => setImmediate(resolve));
            throw mine;
          })(),
        ),
      ),
    );
  });
  expect(await fetch(`${url}/good`).then((response) => response.text())).toBe('ab');
  await expect(fetch(`${url}/bad`).then((response) => response.text())).rejects.toThrow();
  await settled(['success', 'failure']);
});

it('leaves a reply alone that was hijacked', async () => {
  const { url, settled } = await shop((s) => {
    s.get('/', (_request, reply) => {
      reply.hijack();
      reply.raw.writeHead(200, { 'content-type': 'text/event-stream' });
      reply.raw.end('data: 1\n\n');
    });
  });
  expect(await fetch(url).then((response) => response.text())).toBe('data: 1\n\n');
  await settled(['success']);
});

it('runs on HTTP/2', async () => {
  governed = governedApp();
  const { app, record, settled, listen, faults } = governed;
  const written = fastify({ http2: true });
  written.register(governFastify(app, { limits: [record.gate], queue: false, timeoutMs: 50 }));
  written.get('/users/:id', async (request) => callOf(request)?.operation);
  written.get('/slow', async () => {
    await vi.waitFor(() => expect(record.outcomes).toHaveLength(2), { interval: 5 });
    return 'late';
  });
  await written.ready();
  const { url } = await listen(written.server as never);
  const session = http2.connect(url);
  try {
    expect(await h2Get(session, '/users/7')).toEqual([200, 'GET /users/:id']);
    expect(await h2Get(session, '/slow')).toEqual([504, 'DEADLINE_EXCEEDED\n']);
    expect((await h2Get(session, '/nowhere'))[0]).toBe(404);
    await settled(['success', 'failure', 'success']);
  } finally {
    session.close();
  }
  expect(faults).toEqual([]);
});

describe('a connection that is upgraded through a route', () => {
  const handshake = (headers = '') =>
    `GET /socket HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: echo\r\n${headers}\r\n`;

  async function sockets(options: AppListenerOptions) {
    const accepted: Socket[] = [];
    const running = await shop((s) => {
      s.get('/slow', () => undefined);
      s.get('/socket', (request, reply) => {
        reply.hijack();
        const { socket } = request.raw;
        socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n');
        accepted.push(socket);
      });
    }, options);
    // As @fastify/websocket does.
    running.shop.server.on('upgrade', (req, socket) => {
      const res = new ServerResponse(req);
      res.assignSocket(socket as never);
      running.shop.routing(req, res);
    });
    return { ...running, accepted, raw: await rawClient(running.port) };
  }

  it('is a call until it is let in, whatever its time is then', async () => {
    const { raw, url, record, settled, accepted } = await sockets({ timeoutMs: 20 });
    raw.socket.write(handshake());
    await raw.until('101');
    await settled(['ignored']);
    expect(record.asked).toEqual(['GET /socket']);
    // Its time, which began later, is over as well.
    expect((await fetch(`${url}/slow`)).status).toBe(504);
    accepted[0]?.end('bye');
    expect(await raw.closed()).toMatch(/^HTTP\/1\.1 101 [\s\S]*\r\n\r\nbye$/);
  });

  it('is refused as any other call', async () => {
    const { raw, settled, accepted } = await sockets({ use: [jwt({ secret: 's'.repeat(32) })] });
    raw.socket.write(handshake());
    expect(await raw.closed()).toMatch(/^HTTP\/1\.1 401 [\s\S]*www-authenticate: Bearer/);
    await settled(['ignored']);
    expect(accepted).toEqual([]);
  });
});

it('stops with its app, and then closes', async () => {
  const closed = vi.fn();
  governed = governedApp();
  const { app } = governed;
  const written = fastify();
  written.register(governFastify(app));
  written.addHook('onClose', async () => closed());
  written.get('/', async () => 'ok');
  await written.ready();
  const { url } = await app.serve(written.server, { host: '127.0.0.1' });
  expect(await fetch(url).then((response) => response.text())).toBe('ok');
  await app.stop();
  await written.close();
  expect(closed).toHaveBeenCalledOnce();
});
