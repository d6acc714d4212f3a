import http from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { type App, type AppOptions, createApp, type HttpHandler, memory, type Registry } from 'keelson';
import { type Call, callKey, type FaultEvent, isGovernanceError, runWithCall } from 'keelson/core';
import { createRegistry, type RegistryServer } from 'keelson/registry';
import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { freePort } from '../doubles/free-port.js';
import { rawClient, rawGet } from '../doubles/raw-client.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  vi.unstubAllEnvs();
});

function appOf(service: string, options: Partial<AppOptions> = {}): App {
  const app = createApp({ service, signals: false, ...options });
  closers.push(() => app.stop());
  return app;
}

const serverOf = (app: App, handler: HttpHandler, options = {}) =>
  http.createServer(app.listener(handler, { queue: false, ...options }));

/** Listens on the loopback and registers. */
const serve = (app: App, handler: HttpHandler, options = {}) =>
  app.serve(serverOf(app, handler, options), { host: '127.0.0.1' });

const ok: HttpHandler = (_req, res) => void res.end('ok');
const codeOf = (running: Promise<unknown>) =>
  running.then(
    () => 'answered',
    (error: unknown) => (isGovernanceError(error) ? error.code : String(error)),
  );
const text = async (running: Promise<Response>) => (await running).text();

describe('what travels along', () => {
  it('is the deadline, which shrinks from hop to hop', async () => {
    const registry = memory();
    const left: Record<string, number> = {};
    const note = (call: Call) => {
      left[call.service] = call.deadline - performance.now();
    };
    const last = appOf('last', { registry });
    await serve(last, (_req, res, call) => {
      note(call);
      res.end(String(call.deadline < Number.POSITIVE_INFINITY));
    });
    const middle = appOf('middle', { registry });
    const toLast = middle.fetch('last');
    await serve(middle, async (_req, res, call) => {
      note(call);
      await new Promise((resolve) => setTimeout(resolve, 20));
      res.end(await text(toLast('/')));
    });
    const first = appOf('first', { registry });
    const toMiddle = first.fetch('middle');
    const { url } = await serve(first, async (_req, res, call) => {
      note(call);
      res.end(await text(toMiddle('/')));
    });
    const answer = await fetch(url, { headers: { 'x-keelson-timeout-ms': '2000' } });
    expect(await answer.text()).toBe('true');
    const { first: a = 0, middle: b = 0, last: c = 0 } = left;
    expect(a).toBeLessThanOrEqual(2000);
    expect(b).toBeLessThanOrEqual(a);
    // The middle took 20 ms of its own, of which a timer may take one less.
    expect(c).toBeLessThanOrEqual(b - 19);
  });

  it('ends a chain whose last service hangs, everywhere', async () => {
    const registry = memory();
    const cancelled: string[] = [];
    const last = appOf('last', { registry });
    await serve(last, (_req, _res, call) => {
      call.cancel.onAbort(() => cancelled.push('last'));
    });
    const first = appOf('first', { registry });
    const toLast = first.fetch('last');
    const { url } = await serve(first, async (_req, res) => {
      res.end(await text(toLast('/')));
    });
    const answer = await fetch(url, { headers: { 'x-keelson-timeout-ms': '100' } });
    expect([answer.status, await answer.text()]).toEqual([504, 'DEADLINE_EXCEEDED\n']);
    await vi.waitFor(() => expect(cancelled).toEqual(['last']));
  });

  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const chain = async (trust: boolean, context = true) => {
    const registry = memory();
    let seen: http.IncomingHttpHeaders = {};
    const users = appOf('users', { registry });
    await serve(users, (req, res) => {
      seen = req.headers;
      res.end();
    });
    const orders = appOf('orders', { registry });
    const toUsers = orders.fetch('users');
    const { url } = await serve(
      orders,
      async (_req, res, call) => {
        await (context ? toUsers('/') : runWithCall(call, () => toUsers('/')));
        if (!context) await toUsers('/');
        res.end();
      },
      { trust, context },
    );
    await fetch(url, {
      headers: {
        traceparent,
        tracestate: 'a=b',
        baggage: 'k=v',
        'x-md-global-colour': 'blue',
        'x-md-local-only': 'x',
        'x-md-global-priority': '7',
        'x-keelson-timeout-ms': '500',
      },
    });
    return seen;
  };

  it('is trace, baggage, metadata and priority of a trusted peer', async () => {
    const seen = await chain(true);
    expect(seen).toMatchObject({
      tracestate: 'a=b',
      baggage: 'k=v',
      'x-md-global-colour': 'blue',
      'x-md-global-priority': '7',
      'x-md-service-name': 'orders',
    });
    expect(seen['traceparent']).toContain('0af7651916cd43dd8448eb211c80319c');
    expect(seen['x-md-local-only']).toBeUndefined();
    expect(Number(seen['x-keelson-timeout-ms'])).toBeLessThanOrEqual(500);
  });

  it('is the trace alone of a peer that is not trusted', async () => {
    const seen = await chain(false);
    expect(seen['traceparent']).toContain('0af7651916cd43dd8448eb211c80319c');
    for (const name of ['baggage', 'x-md-global-colour', 'x-md-global-priority'])
      expect(seen[name], name).toBeUndefined();
    expect(Number(seen['x-keelson-timeout-ms'])).toBeGreaterThan(500);
  });

  it('is nothing with context: false, unless a call is made current by hand', async () => {
    const seen = await chain(true, false);
    expect(seen['x-md-global-colour']).toBeUndefined();
    expect(seen['traceparent']).toBeUndefined();
  });

  it('is no deadline once the answer is out: work in the background has its own time', async () => {
    const registry = memory();
    const users = appOf('users', { registry });
    let told: string | undefined;
    await serve(users, (req, res) => {
      told = req.headers['x-keelson-timeout-ms'] as string;
      res.end();
    });
    const orders = appOf('orders', { registry });
    const toUsers = orders.fetch('users', { timeoutMs: 9000 });
    let background: Promise<unknown> | undefined;
    const { url } = await serve(orders, (_req, res) => {
      res.once('close', () => {
        background = new Promise((resolve) => setImmediate(resolve)).then(() => toUsers('/'));
      });
      res.end();
    });
    await fetch(url, { headers: { 'x-keelson-timeout-ms': '500' } });
    await vi.waitFor(() => expect(background).toBeDefined());
    await background;
    expect(Number(told)).toBeGreaterThan(500);
  });

  it('are no values', async () => {
    const registry = memory();
    const secret = callKey<string>('test.secret');
    let seen: string | undefined = 'not asked';
    const users = appOf('users', { registry });
    await serve(users, (_req, res, call) => {
      seen = call.values.get(secret);
      res.end();
    });
    const orders = appOf('orders', { registry });
    const toUsers = orders.fetch('users', {
      use: [
        (next) => (request, call) => {
          expect(call.values.get(secret)).toBeUndefined();
          return next(request, call);
        },
      ],
    });
    const { url } = await serve(orders, async (_req, res, call) => {
      call.values.set(secret, 'mine');
      await toUsers('/');
      res.end();
    });
    await fetch(url);
    expect(seen).toBeUndefined();
  });

  it('belongs to one call, however many run at once', async () => {
    const registry = memory();
    const users = appOf('users', { registry });
    await serve(users, (req, res) => void res.end(String(req.headers['x-md-global-id'])));
    const orders = appOf('orders', { registry });
    const toUsers = orders.fetch('users');
    const { url } = await serve(orders, async (req, res) => {
      await new Promise((resolve) => setImmediate(resolve));
      const one = await text(toUsers('/'));
      const two = await text(toUsers('/'));
      res.end(`${one === req.headers['x-md-global-id'] && one === two}`);
    });
    const answers = Array.from({ length: 60 }, (_, id) =>
      text(fetch(url, { headers: { 'x-md-global-id': `id-${id}` } })),
    );
    expect(new Set(await Promise.all(answers))).toEqual(new Set(['true']));
  });
});

describe('finding services', () => {
  const registryOn = async (port = 0): Promise<{ registry: RegistryServer; url: string; port: number }> => {
    const registry = createRegistry({ listen: `127.0.0.1:${port}` });
    const address = await registry.listen();
    closers.push(() => registry.close());
    return { registry, url: address.url, port: address.port };
  };
  it('waits for a registry that is away up to the deadline, and finds its services once it is there', async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const orders = appOf('orders', { registry: url });
    const toUsers = orders.fetch('users', { retry: false, resolveTimeoutMs: 500 });
    // On a machine that stalls, the wait and the deadline can end in one moment.
    expect(await codeOf(toUsers('/', { keelson: { timeoutMs: 60 } }))).toMatch(
      /^(NO_ENDPOINT|DEADLINE_EXCEEDED)$/,
    );
    expect(await codeOf(toUsers('/', { keelson: { timeoutMs: 60_000 } }))).toBe('NO_ENDPOINT');
    const users = appOf('users', { registry: url });
    // A service starts without its registry too.
    await serve(users, ok);
    await registryOn(port);
    await vi.waitFor(
      async () => expect(await text(toUsers('/', { keelson: { timeoutMs: 400 } }))).toBe('ok'),
      {
        timeout: 20_000,
        interval: 20,
      },
    );
  });

  it('serves from the last good list when the registry dies', async () => {
    const { registry, url } = await registryOn();
    const users = appOf('users', { registry: url });
    await serve(users, ok);
    const orders = appOf('orders', { registry: url });
    const toUsers = orders.fetch('users');
    expect(await text(toUsers('/'))).toBe('ok');
    const stale = new Promise<void>((resolve) => {
      orders.events.on('resolver', (event) => {
        if (event.stale) resolve();
      });
    });
    await registry.close();
    expect(await text(toUsers('/'))).toBe('ok');
    await stale;
    expect(await text(toUsers('/'))).toBe('ok');
  });

  it('takes a process on an old address for another one', async () => {
    const { url } = await registryOn();
    const orders = appOf('orders', { registry: url });
    const joined: string[] = [];
    const left: string[] = [];
    orders.events.on('instances', (event) => {
      joined.push(...event.joined);
      left.push(...event.left);
    });
    const toUsers = orders.fetch('users');
    const port = await freePort();
    const start = async (answer: string) => {
      const users = appOf('users', { registry: url });
      await users.serve(
        serverOf(users, (_req, res) => void res.end(answer)),
        { port, host: '127.0.0.1' },
      );
      return users;
    };
    const one = await start('one');
    expect(await text(toUsers('/'))).toBe('one');
    await one.stop();
    await start('two');
    await vi.waitFor(() => expect(joined).toHaveLength(2), { timeout: 10_000 });
    expect(await text(toUsers('/'))).toBe('two');
    expect(left).toEqual([joined[0]]);
    expect(joined[1]).not.toBe(joined[0]);
    for (const id of joined) expect(id).toMatch(new RegExp(`@http://127.0.0.1:${port}$`));
  });

  it('goes to given addresses before a registry', async () => {
    const registry = memory();
    const other = appOf('users', { registry });
    await serve(other, (_req, res) => void res.end('registered'));
    const server = http.createServer((_req, res) => void res.end('given')).listen(0, '127.0.0.1');
    closers.push(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const orders = appOf('orders', { registry, endpoints: { users: [`http://127.0.0.1:${port}`] } });
    expect(await text(orders.fetch('users')('/'))).toBe('given');
  });

  it('is a TypeError in words when there is nowhere to look', () => {
    const app = appOf('orders', { endpoints: { users: ['http://127.0.0.1:1'] } });
    expect(() => app.fetch('payments')).toThrow(
      new TypeError(
        'app "orders" cannot find "payments": createApp has neither a registry nor endpoints.payments',
      ),
    );
    expect(() => app.fetch('' as never)).toThrow(TypeError);
    expect(() => app.client('payments', { wire: {} as never })).toThrow('cannot find "payments"');
  });

  it('takes a resolver that registers nothing', async () => {
    const registry = memory();
    const users = appOf('users', { registry });
    await serve(users, ok);
    const orders = appOf('orders', { registry: { watch: (...args) => registry.watch(...args) } });
    await serve(orders, ok);
    expect(await text(orders.fetch('users')('/'))).toBe('ok');
    expect(await codeOf(appOf('x', { registry }).fetch('orders', { resolveTimeoutMs: 0 })('/'))).toBe(
      'NO_ENDPOINT',
    );
  });

  it('gives one client to whoever asks again without options', () => {
    const app = appOf('orders', { endpoints: { users: ['http://127.0.0.1:1'] } });
    expect(app.fetch('users')).toBe(app.fetch('users'));
    expect(app.fetch('users', {})).not.toBe(app.fetch('users'));
  });

  it('governs clients by the policy of the app unless they say otherwise', async () => {
    const registry = memory();
    const tries: string[] = [];
    const users = appOf('users', { registry });
    await serve(users, (_req, res) => {
      res.statusCode = 500;
      res.end();
    });
    const orders = appOf('orders', {
      registry,
      client: {
        retry: { attempts: 3, baseMs: 0 },
        useAttempt: [
          (next) => (request, call) => {
            tries.push(call.operation);
            return next(request, call);
          },
        ],
      },
    });
    await orders.fetch('users', { routes: ['/a'], retry: undefined, timeoutMs: undefined })('/a');
    expect(tries).toEqual(['GET /a', 'GET /a', 'GET /a']);
    await orders.fetch('users', { retry: false, routes: ['/b'] })('/b');
    expect(tries.slice(3)).toEqual(['GET /b']);
  });

  it('is apart for two apps', async () => {
    const [one, two] = [memory(), memory()];
    const a = appOf('users', { registry: one });
    await serve(a, (_req, res) => void res.end('one'));
    const b = appOf('users', { registry: two });
    await serve(b, (_req, res) => void res.end('two'));
    const told: string[] = [];
    const callerOne = appOf('orders', { registry: one });
    const callerTwo = appOf('orders', { registry: two });
    callerTwo.events.on('instances', () => told.push('two'));
    expect(await text(callerOne.fetch('users')('/'))).toBe('one');
    expect(told).toEqual([]);
    expect(await text(callerTwo.fetch('users')('/'))).toBe('two');
    expect(told).toEqual(['two']);
    await a.stop();
    expect(await codeOf(callerOne.fetch('users', { resolveTimeoutMs: 0 })('/'))).toBe('NO_ENDPOINT');
    expect(await text(callerTwo.fetch('users')('/'))).toBe('two');
  });
});

describe('serve', () => {
  const registered = (registry: Registry, service: string) => {
    const seen: {
      addresses: readonly string[];
      hostname: string;
      metadata: object;
      weight: number;
      zone: string;
    }[] = [];
    registry.watch(service, ({ instances }) => seen.splice(0, seen.length, ...instances)).close();
    return seen;
  };

  it('takes a free port and tells it, with the address that others see', async () => {
    const registry = memory();
    const app = appOf('users', { registry, weight: 50, zone: 'z1', metadata: { colour: 'blue' } });
    const served = await app.serve(serverOf(app, ok), { host: '127.0.0.1' });
    expect(served).toEqual({
      scheme: 'http',
      host: '127.0.0.1',
      port: expect.any(Number),
      url: `http://127.0.0.1:${served.port}`,
    });
    expect(served.port).toBeGreaterThan(0);
    expect(registered(registry, 'users')).toMatchObject([
      { addresses: [served.url], weight: 50, zone: 'z1', metadata: { colour: 'blue' } },
    ]);
    expect(registered(registry, 'users')[0]?.hostname).toMatch(new RegExp(`-${served.port}$`));
    expect(app.state).toBe('ready');
    expect(await text(fetch(served.url))).toBe('ok');
  });

  it.each([undefined, '0.0.0.0', '::'])(
    'advertises something that can be connected to when bound to %s',
    async (host) => {
      const app = appOf('users', { registry: memory() });
      const { url } = await app.serve(serverOf(app, ok), host === undefined ? {} : { host });
      expect(new URL(url).hostname).not.toMatch(/^(0\.0\.0\.0|\[::\])$/);
      expect(await text(fetch(url))).toBe('ok');
    },
  );

  it('writes IPv6 addresses in brackets', async () => {
    const app = appOf('users', { registry: memory() });
    let url: string;
    try {
      ({ url } = await app.serve(serverOf(app, ok), { host: '::1' }));
    } catch (error) {
      // A machine without IPv6 has nothing to test.
      expect((error as NodeJS.ErrnoException).code).toMatch(/EADDRNOTAVAIL|EAFNOSUPPORT/);
      return;
    }
    expect(url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect(await text(fetch(url))).toBe('ok');
  });

  it('is another instance on another address of the machine, be it at the same port', async () => {
    const registry = memory();
    const one = appOf('users', { registry });
    const { port } = await one.serve(serverOf(one, ok), { host: '127.0.0.1' });
    const two = appOf('users', { registry });
    try {
      await two.serve(serverOf(two, ok), { host: '127.0.0.2', port });
    } catch (error) {
      // Only Linux has all of 127/8, and the port may be taken there.
      expect((error as NodeJS.ErrnoException).code).toMatch(/EADDRNOTAVAIL|EADDRINUSE/);
      return;
    }
    // By these, registries tell instances apart.
    const names = registered(registry, 'users').map(({ hostname }) => hostname);
    expect(new Set(names).size).toBe(2);
    for (const name of names) expect(name).toMatch(new RegExp(`-${port}$`));
  });

  it('advertises the option, else KEELSON_ADVERTISE_HOST, and neither is a wildcard', async () => {
    vi.stubEnv('KEELSON_ADVERTISE_HOST', 'users.internal');
    const app = appOf('users', { registry: memory() });
    expect((await serve(app, ok)).url).toMatch(/^http:\/\/users\.internal:\d+$/);
    const named = appOf('users', { registry: memory(), advertiseHost: '2001:db8::1' });
    expect((await serve(named, ok)).url).toMatch(/^http:\/\/\[2001:db8::1\]:\d+$/);
    vi.stubEnv('KEELSON_ADVERTISE_HOST', '0.0.0.0');
    const wild = appOf('users', { registry: memory() });
    const server = serverOf(wild, ok);
    await expect(wild.serve(server)).rejects.toThrow(
      'KEELSON_ADVERTISE_HOST must be a host name or IP address',
    );
    expect([server.listening, wild.state]).toEqual([false, 'idle']);
    expect(() => appOf('users', { advertiseHost: '[::]' })).toThrow('createApp.advertiseHost');
  });

  it('asks the registry which address leads to it', async () => {
    const registry = { ...memory(), localAddress: async () => '192.0.2.7' };
    const app = appOf('users', { registry });
    expect((await app.serve(serverOf(app, ok))).url).toMatch(/^http:\/\/192\.0\.2\.7:/);
    const broken = { ...memory(), localAddress: () => Promise.reject(new Error('no way')) };
    const other = appOf('users', { registry: broken });
    expect((await other.serve(serverOf(other, ok))).url).toMatch(/^http:\/\//);
  });

  it('registers nothing with register: false', async () => {
    const registry = memory();
    const app = appOf('users', { registry, register: false });
    await serve(app, ok);
    expect(registered(registry, 'users')).toEqual([]);
  });

  it('leaves nothing behind when the port is taken, and can be tried again', async () => {
    const registry = memory();
    const blocker = net.createServer().listen(0, '127.0.0.1');
    closers.push(() => void blocker.close());
    await new Promise((resolve) => blocker.once('listening', resolve));
    const { port } = blocker.address() as AddressInfo;
    const states: string[] = [];
    const before = ['SIGTERM', 'SIGINT'].map((signal) => process.listenerCount(signal));
    const started: string[] = [];
    const app = appOf('users', {
      registry,
      signals: true,
      hooks: { beforeStart: () => started.push('before') },
    });
    app.events.on('lifecycle', ({ state }) => states.push(state));
    const server = serverOf(app, ok);
    const listeners = server.eventNames().map((name) => [name, server.listenerCount(name)]);
    await expect(app.serve(server, { port, host: '127.0.0.1' })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
    expect(app.state).toBe('idle');
    expect(registered(registry, 'users')).toEqual([]);
    expect(['SIGTERM', 'SIGINT'].map((signal) => process.listenerCount(signal))).toEqual(before);
    expect(server.eventNames().map((name) => [name, server.listenerCount(name)])).toEqual(listeners);
    await app.serve(server, { host: '127.0.0.1' });
    expect(registered(registry, 'users')).toHaveLength(1);
    expect(started).toEqual(['before']);
    expect(states).toEqual(['starting', 'idle', 'starting', 'ready']);
    await app.stop();
    expect(['SIGTERM', 'SIGINT'].map((signal) => process.listenerCount(signal))).toEqual(before);
  });

  it('leaves nothing behind when the registry refuses', async () => {
    const registry = { ...memory(), register: () => Promise.reject(new Error('refused')) };
    const app = appOf('users', { registry });
    const server = serverOf(app, ok);
    await expect(app.serve(server, { host: '127.0.0.1' })).rejects.toThrow('refused');
    expect([server.listening, app.state]).toEqual([false, 'idle']);
  });

  it('does not close a server that listened before', async () => {
    const registry = { ...memory(), register: () => Promise.reject(new Error('refused')) };
    const app = appOf('users', { registry });
    const server = serverOf(app, ok);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await expect(app.serve(server)).rejects.toThrow('refused');
    expect(server.listening).toBe(true);
    const fine = appOf('users', { registry: memory() });
    const { port } = await fine.serve(server);
    expect(port).toBe((server.address() as AddressInfo).port);
  });

  it('does not listen when beforeStart throws, and asks it again', async () => {
    let broken = true;
    const app = appOf('users', {
      registry: memory(),
      hooks: {
        beforeStart: async () => {
          if (broken) throw new Error('no database');
        },
      },
    });
    const server = serverOf(app, ok);
    await expect(app.serve(server)).rejects.toThrow('no database');
    expect([server.listening, app.state]).toEqual([false, 'idle']);
    broken = false;
    await app.serve(server, { host: '127.0.0.1' });
    expect(app.state).toBe('ready');
  });

  it('takes several servers, one after the other and at once', async () => {
    const registry = memory();
    const hooks: string[] = [];
    const app = appOf('users', {
      registry,
      hooks: { beforeStart: () => hooks.push('before'), afterStart: () => hooks.push('after') },
    });
    const [one, two] = await Promise.all([serve(app, ok), serve(app, ok)]);
    const three = await serve(app, ok);
    const urls = [one.url, two.url, three.url];
    expect(
      registered(registry, 'users')
        .flatMap(({ addresses }) => addresses)
        .sort(),
    ).toEqual(urls.sort());
    expect(hooks).toEqual(['before', 'after']);
    await app.stop();
    expect(registered(registry, 'users')).toEqual([]);
    for (const url of urls) await expect(fetch(url)).rejects.toThrow();
  });

  it('keeps idle connections for longer than a load balancer does, headers for longer than that', async () => {
    const app = appOf('users');
    const server = serverOf(app, ok);
    await app.serve(server, { host: '127.0.0.1' });
    expect(server.keepAliveTimeout).toBe(65_000);
    expect(server.headersTimeout).toBeGreaterThan(server.keepAliveTimeout);
    const other = serverOf(app, ok);
    other.headersTimeout = 0;
    await app.serve(other, { host: '127.0.0.1', keepAliveTimeoutMs: 1000 });
    expect([other.keepAliveTimeout, other.headersTimeout]).toEqual([1000, 0]);
  });

  it.each([
    [{ port: -1 }, 'serve.port must be a whole number >= 0'],
    [{ port: 70_000 }, 'serve.port must be a whole number'],
    [{ hostname: 'x' }, 'serve.hostname is not an option'],
    [{ keepAliveTimeoutMs: Number.NaN }, 'serve.keepAliveTimeoutMs'],
  ])('refuses %o', async (options, message) => {
    const app = appOf('users');
    await expect(app.serve(serverOf(app, ok), options as never)).rejects.toThrow(message);
    expect(app.state).toBe('idle');
  });
});

describe('stop', () => {
  it('before serve is final', async () => {
    const app = appOf('users', { endpoints: { a: ['http://127.0.0.1:1'] } });
    const toA = app.fetch('a');
    await app.stop();
    expect(app.state).toBe('stopped');
    expect(await codeOf(app.serve(http.createServer()))).toBe('SHUTTING_DOWN');
    expect(await codeOf(toA('/'))).toBe('SHUTTING_DOWN');
    for (const make of [() => app.fetch('a', {}), () => app.listener(ok), () => app.client('a', {} as never)])
      expect(make).toThrow('app "users" was stopped; make another one');
  });

  it('twice is once', async () => {
    const states: string[] = [];
    const app = appOf('users', { registry: memory() });
    await serve(app, ok);
    app.events.on('lifecycle', ({ state }) => states.push(state));
    expect(app.stop()).toBe(app.stop());
    await app.stop();
    expect(states).toEqual(['draining', 'stopped']);
  });

  it('during serve undoes what has been done', async () => {
    const registry = memory();
    let admit: (() => void) | undefined;
    const slow: Registry = {
      ...registry,
      register: async (instance) => {
        await new Promise<void>((resolve) => (admit = resolve));
        return registry.register(instance);
      },
    };
    const app = appOf('users', { registry: slow });
    const server = serverOf(app, ok);
    const serving = codeOf(app.serve(server, { host: '127.0.0.1' }));
    await vi.waitFor(() => expect(admit).toBeDefined());
    const stopping = app.stop();
    admit?.();
    expect(await serving).toBe('SHUTTING_DOWN');
    await stopping;
    expect([server.listening, app.state]).toEqual([false, 'stopped']);
    expect(await codeOf(appOf('x', { registry }).fetch('users', { resolveTimeoutMs: 0 })('/'))).toBe(
      'NO_ENDPOINT',
    );
  });

  it('during beforeStart does not wait for it, and the start comes to nothing', async () => {
    let go: (() => void) | undefined;
    const app = appOf('users', {
      hooks: { beforeStart: () => new Promise<void>((resolve) => (go = resolve)) },
    });
    const server = serverOf(app, ok);
    const serving = codeOf(app.serve(server));
    await vi.waitFor(() => expect(go).toBeDefined());
    await app.stop();
    go?.();
    expect(await serving).toBe('SHUTTING_DOWN');
    expect([server.listening, app.state]).toEqual([false, 'stopped']);
  });

  it('goes on when hooks and registrations fail, and tells', async () => {
    const faults: FaultEvent[] = [];
    const broken = (where: string) => () => {
      throw new Error(where);
    };
    const registry: Registry = {
      ...memory(),
      register: async () => ({ registered: true, deregister: () => Promise.reject(new Error('deregister')) }),
    };
    const app = appOf('users', {
      registry,
      hooks: {
        afterStart: broken('afterStart'),
        beforeStop: broken('beforeStop'),
        afterStop: async () => Promise.reject(new Error('afterStop')),
      },
    });
    app.events.on('fault', (event) => faults.push(event));
    const server = serverOf(app, ok);
    await app.serve(server, { host: '127.0.0.1' });
    await app.stop();
    expect([server.listening, app.state]).toEqual([false, 'stopped']);
    expect(faults.map(({ where, error }) => [where, (error as Error).message])).toEqual([
      ['afterStart', 'afterStart'],
      ['beforeStop', 'beforeStop'],
      ['deregister', 'deregister'],
      ['afterStop', 'afterStop'],
    ]);
  });

  it('does not wait for ever for a registry that does not answer', async () => {
    const registry: Registry = {
      ...memory(),
      register: async () => ({ registered: true, deregister: () => new Promise(() => undefined) }),
    };
    const clock = manualClock();
    const app = appOf('users', { registry, clock });
    await serve(app, ok);
    const stopping = app.stop();
    await clock.advance(10_000);
    await stopping;
    expect(app.state).toBe('stopped');
  });

  it('drains: not ready, deregistered, connections asked to go, calls in flight finish', async () => {
    const registry = memory();
    let finish: (() => void) | undefined;
    const clock = manualClock();
    const app = appOf('users', { registry, drainPauseMs: 5000, clock });
    const handler: HttpHandler = async (req, res) => {
      if (req.url === '/slow') await new Promise<void>((resolve) => (finish = resolve));
      res.end('done');
    };
    const { url, port } = await serve(app, handler, { health: true });
    const idle = await rawClient(port);
    idle.socket.write(rawGet('/healthz'));
    await idle.until('"ready"');
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    const slow = await rawClient(port);
    slow.socket.write(rawGet('/slow'));
    await vi.waitFor(() => expect(finish).toBeDefined());

    const stopping = app.stop();
    await vi.waitFor(async () => expect((await fetch(`${url}/readyz`)).status).toBe(503));
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect(await codeOf(appOf('x', { registry }).fetch('users', { resolveTimeoutMs: 0 })('/'))).toBe(
      'NO_ENDPOINT',
    );
    // Whoever has not heard of it yet is still served, and asked to go.
    const late = await fetch(`${url}/late`);
    expect([late.status, late.headers.get('connection')]).toEqual([200, 'close']);
    idle.socket.write(rawGet('/late'));
    expect((await idle.closed()).toLowerCase()).toContain('connection: close');
    finish?.();
    expect((await slow.closed()).toLowerCase()).toContain('connection: close');
    await clock.advance(4999);
    expect(app.state).toBe('draining');
    await clock.advance(1);
    await stopping;
    await expect(fetch(url)).rejects.toThrow();
  });

  it.each([
    [{ KUBERNETES_SERVICE_HOST: '10.0.0.1' }, 5000],
    [{ KUBERNETES_SERVICE_HOST: '10.0.0.1', NODE_ENV: 'test' }, 5000],
    [{}, 1000],
    [{ NODE_ENV: 'test' }, 0],
    [{ JEST_WORKER_ID: '1' }, 0],
  ])('pauses with %o for %i ms', async (env, pauseMs) => {
    for (const name of ['VITEST', 'NODE_ENV', 'JEST_WORKER_ID', 'KUBERNETES_SERVICE_HOST'])
      vi.stubEnv(name, (env as Record<string, string>)[name]);
    const clock = manualClock();
    const app = appOf('users', { clock });
    await serve(app, ok);
    const stopping = app.stop();
    await vi.waitFor(() => expect(app.state).toBe('draining'));
    if (pauseMs > 0) {
      await clock.advance(pauseMs - 1);
      expect(app.state).toBe('draining');
      await clock.advance(1);
    }
    await stopping;
    expect(app.state).toBe('stopped');
  });

  it('cuts what is not done after closeTimeoutMs', async () => {
    const app = appOf('users', { closeTimeoutMs: 50 });
    let calls = 0;
    const { url } = await serve(app, () => void calls++);
    const hanging = fetch(url).then(
      () => 'answered',
      () => 'cut',
    );
    await vi.waitFor(() => expect(calls).toBe(1));
    await app.stop();
    expect(await hanging).toBe('cut');
  });

  it('lets go of a connection whose response was under way', async () => {
    const app = appOf('users', { closeTimeoutMs: 60_000 });
    let end: (() => void) | undefined;
    const { port } = await serve(app, (_req, res) => {
      res.writeHead(200);
      res.write('half');
      end = () => void res.end('whole');
    });
    const raw = await rawClient(port);
    raw.socket.write(rawGet('/'));
    await raw.until('half');
    const stopping = app.stop();
    await new Promise((resolve) => setTimeout(resolve, 60));
    end?.();
    // It was promised to be kept before anybody knew of the stop.
    expect((await raw.closed()).toLowerCase()).toContain('connection: keep-alive');
    await stopping;
  });

  it('is not held by upgraded sockets', async () => {
    const app = appOf('users', { closeTimeoutMs: 60_000 });
    const server = serverOf(app, ok);
    server.on('upgrade', (_req, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n');
    });
    const { port } = await app.serve(server, { host: '127.0.0.1' });
    const raw = await rawClient(port);
    raw.socket.write('GET / HTTP/1.1\r\nhost: a\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n');
    await raw.until('101');
    await app.stop();
    await raw.closed();
  });

  it('tells clients over HTTP/2 to go, and lets their calls finish', async () => {
    const app = appOf('users', { registry: memory() });
    let finish: (() => void) | undefined;
    const handler: HttpHandler = async (_req, res) => {
      await new Promise<void>((resolve) => (finish = resolve));
      res.end('done');
    };
    const server = http2.createServer(app.listener(handler, { queue: false }));
    const { url, port } = await app.serve(server, { host: '127.0.0.1' });
    expect(url).toBe(`h2c://127.0.0.1:${port}`);
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const away = new Promise((resolve) => session.once('goaway', (_code, last) => resolve(last)));
    const stream = session.request({ ':path': '/' });
    let body = '';
    stream.setEncoding('utf8').on('data', (part) => {
      body += part;
    });
    const ended = new Promise((resolve) => stream.once('close', resolve));
    await vi.waitFor(() => expect(finish).toBeDefined());
    const stopping = app.stop();
    // Those on their way are taken still: RFC 9113, 6.8.
    expect(await away).toBe(2 ** 31 - 1);
    finish?.();
    await ended;
    expect(body).toBe('done');
    await stopping;
  });

  it('comes by itself with await using', async () => {
    let seen: App;
    {
      await using app = createApp({ service: 'users', signals: false });
      seen = app;
      await serve(app, ok);
      expect(app.state).toBe('ready');
    }
    expect(seen.state).toBe('stopped');
  });

  it('leaves a registry alone that was given', async () => {
    const close = vi.fn(async () => undefined);
    const registry = { ...memory(), close };
    await appOf('users', { registry }).stop();
    expect(close).not.toHaveBeenCalled();
  });
});
