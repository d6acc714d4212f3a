import http from 'node:http';
import http2 from 'node:http2';
import { Readable } from 'node:stream';
import Router from '@koa/router';
import { type AppListenerOptions, currentCall } from 'keelson';
import { GovernanceError } from 'keelson/core';
import { callOf, governKoa } from 'keelson/koa';
import { validated } from 'keelson/validation';
import Koa from 'koa';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { type GovernedApp, governedApp } from '../doubles/governed-app.js';
import { h2Get } from '../doubles/h2-get.js';
import { rawClient } from '../doubles/raw-client.js';

let governed: GovernedApp | undefined;
afterEach(async () => {
  await governed?.close();
  governed = undefined;
});

const mine = new RangeError('mine');

function govern(written: Koa, options: AppListenerOptions = {}): GovernedApp {
  governed = governedApp();
  written.silent = true;
  written.use(governKoa(governed.app, { limits: [governed.record.gate], queue: false, ...options }));
  return governed;
}

async function shop(write: (shop: Koa) => unknown, options: AppListenerOptions = {}) {
  const written = new Koa();
  const running = govern(written, options);
  write(written);
  return { ...running, ...(await running.listen(http.createServer(written.callback()))) };
}

describe('the operation', () => {
  const routers = (): Router => {
    const orders = new Router();
    orders.use((_ctx, next) => next());
    orders.get('/orders/:id', (ctx) => {
      ctx.body = 'order';
    });
    const router = new Router({ prefix: '/api' });
    router.use('/tenants/:tenant', orders.routes());
    router.get(/^\/things\/\d+$/, (ctx) => {
      ctx.body = 'thing';
    });
    router.use('/closed', (ctx) => {
      ctx.status = 401;
    });
    router.get('/closed/:room', (ctx) => {
      ctx.body = 'room';
    });
    return router;
  };
  it.each([
    ['/api/tenants/acme/orders/7', 'GET /api/tenants/:tenant/orders/:id'],
    ['/api/closed/7', 'GET /api/closed/:room'],
    ['/api/nowhere/7', 'GET'],
    ['/elsewhere', 'GET'],
  ])('of %s is %s', async (path, operation) => {
    const operations: (string | undefined)[] = [];
    const { url, settled } = await shop((s) => {
      s.use(async (ctx, next) => {
        await next();
        operations.push(callOf(ctx)?.operation);
      });
      s.use(routers().routes());
    });
    await (await fetch(url + path)).text();
    await settled(['success']);
    expect(operations).toEqual([operation]);
  });
});

describe('errors', () => {
  it('are answered as Koa does, told to its listeners, and to ours if they are faults', async () => {
    const heard: unknown[] = [];
    const { url, settled, faults } = await shop((s) => {
      s.on('error', (error) => heard.push(error));
      s.use((ctx) => {
        if (ctx.path === '/teapot') ctx.throw(418, 'short and stout');
        // biome-ignore lint/style/useThrowOnlyError: what Koa makes of it is the question
        if (ctx.path === '/text') throw 'text';
        throw mine;
      });
    });
    const answers: unknown[] = [];
    for (const path of ['/teapot', '/mine', '/text']) {
      const response = await fetch(url + path);
      answers.push([response.status, await response.text()]);
    }
    expect(answers).toEqual([
      [418, 'short and stout'],
      [500, 'Internal Server Error'],
      [500, 'Internal Server Error'],
    ]);
    await settled(['success', 'failure', 'failure']);
    expect(heard).toHaveLength(3);
    expect(faults.map(({ error }) => error)).toEqual([mine, 'text']);
  });

  it('of a value that is invalid say what is wrong, and are nothing to log', async () => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const { url, settled, faults } = await shop((s) => {
      s.silent = false;
      s.use(async (ctx) => {
        ctx.body = await validated(z.object({ age: z.number() }), ctx.query);
      });
    });
    const response = await fetch(`${url}/?age=x`);
    expect([response.status, await response.text()]).toEqual([400, expect.stringMatching(/age: .*number/)]);
    await settled(['success']);
    expect([faults, log.mock.calls]).toEqual([[], []]);
    log.mockRestore();
  });

  it('that a middleware of the user answers are not ours', async () => {
    const { url, settled, faults } = await shop((s) => {
      s.use(async (ctx, next) => {
        try {
          await next();
        } catch (error) {
          ctx.status = (error as GovernanceError).statusCode;
          ctx.body = 'handled';
        }
      });
      s.use(() => {
        throw new GovernanceError('NO_ENDPOINT', 'nobody', { side: 'client' });
      });
    });
    const response = await fetch(url);
    expect([response.status, await response.text()]).toEqual([503, 'handled']);
    await settled(['failure']);
    expect(faults).toEqual([]);
  });
});

it('leaves a response alone that Koa leaves alone', async () => {
  const { url, settled } = await shop((s) => {
    s.use(async (ctx) => {
      ctx.respond = false;
      await new Promise((resolve) => setImmediate(resolve));
      ctx.res.end('by hand');
    });
  });
  expect(await fetch(url).then((response) => response.text())).toBe('by hand');
  await settled(['success']);
});

it('middlewares before it come to their end when a call is refused', async () => {
  governed = governedApp();
  const { app, listen } = governed;
  const ended: unknown[] = [];
  const written = new Koa();
  written.on('error', (error) => ended.push(error));
  written.use(async (ctx, next) => {
    await next();
    ended.push(ctx.res.statusCode, ctx.res.closed);
  });
  written.use(governKoa(app, { limits: [{ code: 'RATE_LIMITED', tryAcquire: () => null }] }));
  const { url } = await listen(http.createServer(written.callback()));
  const response = await fetch(url);
  expect([response.status, await response.text()]).toEqual([429, 'RATE_LIMITED\n']);
  await vi.waitFor(() => expect(ended).toEqual([429, true]));
});

it('a handler that works on after its client has gone is still in flight', async () => {
  let go: () => void = () => undefined;
  const left = vi.fn();
  const { port, record, settled } = await shop((s) => {
    s.use(async (ctx) => {
      ctx.res.once('close', left);
      await new Promise<void>((resolve) => {
        go = resolve;
      });
      ctx.body = 'late';
    });
  });
  const raw = await rawClient(port);
  raw.socket.write('GET / HTTP/1.1\r\nhost: test\r\n\r\n');
  await vi.waitFor(() => expect(record.inflight()).toBe(1));
  raw.socket.destroy();
  await vi.waitFor(() => expect(left).toHaveBeenCalled());
  expect(record.inflight()).toBe(1);
  go();
  await settled(['ignored']);
});

it('streams', async () => {
  const seen: boolean[] = [];
  const { url, settled } = await shop((s) => {
    s.use((ctx) => {
      seen.push(currentCall() === callOf(ctx) && currentCall() !== undefined);
      ctx.body = Readable.from(['a', 'b']);
    });
  });
  expect(await fetch(url).then((response) => response.text())).toBe('ab');
  await settled(['success']);
  expect(seen).toEqual([true]);
});

it('a stream that breaks is a failure', async () => {
  const { url, settled } = await shop((s) => {
    s.use((ctx) => {
      ctx.body = Readable.from(
        (async function* () {
          yield 'a';
          await new Promise((resolve) => setImmediate(resolve));
          throw mine;
        })(),
      );
    });
  });
  await expect(fetch(url).then((response) => response.text())).rejects.toThrow();
  await settled(['failure']);
});

it('runs on HTTP/2', async () => {
  const written = new Koa();
  const { listen, settled, faults } = govern(written, { timeoutMs: 50 });
  let late: () => void = () => undefined;
  const router = new Router();
  router.get('/users/:id', (ctx) => {
    ctx.body = callOf(ctx)?.operation;
  });
  router.get('/slow', async (ctx) => {
    await new Promise<void>((resolve) => {
      late = resolve;
    });
    ctx.body = 'late';
  });
  written.use(router.routes());
  const { url } = await listen(http2.createServer(written.callback()) as never);
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
