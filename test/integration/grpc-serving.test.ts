import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { type App, type AppOptions, createApp, memory, type Registry } from 'keelson';
import type { LifecycleEvent } from 'keelson/core';
import {
  addHealth,
  governedChannel,
  governHandlers,
  governServer,
  grpcServer,
  type HealthRequest,
  type HealthResponse,
  healthDefinition,
  servingStatus,
} from 'keelson/grpc';
import { concurrency } from 'keelson/limiter';
import type { Servable } from 'keelson/stack';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import {
  ended,
  type GreeterClient,
  type GreeterHandlers,
  greeter,
  greeterClient,
  say,
} from '../doubles/grpc-greeter.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  vi.restoreAllMocks();
});

const { status } = grpc;
const host = '127.0.0.1';

function appOf(service: string, options: Partial<AppOptions> = {}): App {
  const app = createApp({ service, signals: false, ...options });
  closers.push(() => app.stop());
  return app;
}

const handlers: Partial<GreeterHandlers> = {
  Say: ({ request }, callback) => callback(null, { text: `hello ${request.text}` }),
};

function serverOf(
  app: App,
  implementation: Partial<GreeterHandlers> = handlers,
  wire: grpc.ServerOptions = {},
) {
  const limit = concurrency({ limit: 10 });
  const server = new grpc.Server({
    ...wire,
    interceptors: [governServer(app, { limits: [limit], queue: false })],
  });
  server.addService(greeter, implementation as grpc.UntypedServiceImplementation);
  addHealth(server, app, { services: ['test.Greeter'] });
  const inflight = () => limit.snapshot(performance.now()).inflight;
  return { server, inflight };
}

function clientOf(port: number): GreeterClient {
  const client = greeterClient(port);
  closers.push(() => client.close());
  return client;
}

/** The instances of a service that a registry knows at this moment. */
async function known(registry: Registry, service: string): Promise<readonly string[]> {
  let addresses: readonly string[] = [];
  const watch = registry.watch(service, ({ instances }) => {
    addresses = instances.flatMap((instance) => instance.addresses);
  });
  await Promise.resolve();
  watch.close();
  return addresses;
}

describe('a gRPC server', () => {
  it('is served, registered as grpc, found by discovery, and deregistered at the end', async () => {
    const registry = memory();
    const app = appOf('greeter', { registry });
    const { server } = serverOf(app);
    const served = await app.serve(grpcServer(server), { host });
    expect(served).toEqual({ scheme: 'grpc', host, port: served.port, url: `grpc://${host}:${served.port}` });
    expect(served.port).toBeGreaterThan(0);
    expect(app.state).toBe('ready');
    expect(await known(registry, 'greeter')).toEqual([served.url]);
    const caller = appOf('caller', { registry });
    const channel = governedChannel(caller, 'greeter');
    const Client = grpc.makeClientConstructor(greeter, 'Greeter');
    const client = new Client(channel.getTarget(), grpc.credentials.createInsecure(), {
      channelOverride: channel,
    }) as unknown as GreeterClient;
    expect((await say(client, { text: 'you' })).messages).toEqual([{ text: 'hello you' }]);
    await app.stop();
    expect(await known(registry, 'greeter')).toEqual([]);
    expect(caller.snapshot().flatMap(({ endpoints }) => endpoints.map(({ inflight }) => inflight))).toEqual(
      [],
    );
  });

  it('listens on all addresses where none is given, and tells others one that they can reach', async () => {
    const app = appOf('greeter', { advertiseHost: host });
    const { port, url } = await app.serve(grpcServer(serverOf(app).server));
    expect(url).toBe(`grpc://${host}:${port}`);
    expect((await say(clientOf(port))).code).toBe(status.OK);
  });

  it('has its place beside one of HTTP', async () => {
    const app = appOf('both');
    const web = await app.serve(http.createServer(app.listener((_req, res) => void res.end('ok'))), { host });
    const rpc = await app.serve(grpcServer(serverOf(app).server), { host });
    expect(await (await fetch(web.url)).text()).toBe('ok');
    expect((await say(clientOf(rpc.port))).code).toBe(status.OK);
    await app.stop();
    await expect(fetch(web.url)).rejects.toThrow();
    expect((await say(clientOf(rpc.port))).code).toBe(status.UNAVAILABLE);
  });

  it('that finds its port taken rejects with the code of the platform, and leaves nothing', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const taken = net.createServer();
    await new Promise<void>((resolve) => taken.listen(0, host, resolve));
    closers.push(() => taken.close());
    const { port } = taken.address() as net.AddressInfo;
    const registry = memory();
    const app = appOf('greeter', { registry });
    await expect(app.serve(grpcServer(serverOf(app).server), { host, port })).rejects.toMatchObject({
      code: 'EADDRINUSE',
    });
    expect(app.state).toBe('idle');
    expect(await known(registry, 'greeter')).toEqual([]);
  });

  it('whose registration fails does not listen any more, and can be served again', async () => {
    const registry = memory();
    let refuse = true;
    const moody: Registry = {
      ...registry,
      register: (instance) => (refuse ? Promise.reject(new Error('refused')) : registry.register(instance)),
    };
    const app = appOf('greeter', { registry: moody });
    const { server } = serverOf(app);
    const servable = grpcServer(server);
    let port = 0;
    const noting: Servable = {
      listen: async (place) => {
        const bound = await servable.listen(place);
        ({ port } = bound);
        return bound;
      },
      leave: () => servable.leave(),
      close: (timeoutMs, clock) => servable.close(timeoutMs, clock),
      withdraw: (clock) => servable.withdraw(clock),
    };
    await expect(app.serve(noting, { host })).rejects.toThrow('refused');
    expect(app.state).toBe('idle');
    expect((await say(clientOf(port))).code).toBe(status.UNAVAILABLE);
    refuse = false;
    const served = await app.serve(grpcServer(server), { host });
    expect((await say(clientOf(served.port))).code).toBe(status.OK);
  });

  it('is refused when it is none', async () => {
    const app = appOf('greeter');
    expect(() => grpcServer({} as never)).toThrow(TypeError);
    await expect(app.serve({} as never)).rejects.toThrow(TypeError);
    await expect(app.serve(undefined as never)).rejects.toThrow(TypeError);
  });
});

describe('the end of a gRPC server', () => {
  it('waits for calls in flight, unary and streams, and takes new ones during the pause', async () => {
    const app = appOf('greeter', { drainPauseMs: 200 });
    let finish: (() => void) | undefined;
    const { server, inflight } = serverOf(app, {
      ...handlers,
      Count: (call) => {
        call.write({ count: 1 });
        finish = () => {
          call.write({ count: 2 });
          call.end();
        };
      },
    });
    const { port } = await app.serve(grpcServer(server), { host });
    const client = clientOf(port);
    const stream = client.Count({});
    const counted = ended(stream);
    await vi.waitFor(() => expect(finish).toBeDefined());
    const stopped = app.stop();
    await vi.waitFor(() => expect(app.state).toBe('draining'));
    // Not all have heard of it: who comes now is served, on a connection of its own.
    expect((await say(clientOf(port), { text: 'late' })).messages).toEqual([{ text: 'hello late' }]);
    finish?.();
    expect(await counted).toMatchObject({ code: status.OK, messages: [{ count: 1 }, { count: 2 }] });
    await stopped;
    expect(inflight()).toBe(0);
    expect(app.state).toBe('stopped');
    expect((await say(clientOf(port))).code).toBe(status.UNAVAILABLE);
  });

  it('cuts what hangs when its time is over', async () => {
    const app = appOf('greeter', { drainPauseMs: 0, closeTimeoutMs: 50 });
    const { server, inflight } = serverOf(app, {
      Say: () => undefined,
      Count: (call) => void call.write({}),
    });
    const { port } = await app.serve(grpcServer(server), { host });
    const client = clientOf(port);
    const hanging = say(client);
    const streaming = ended(client.Count({}));
    await vi.waitFor(() => expect(inflight()).toBe(2));
    await app.stop();
    expect((await hanging).code).not.toBe(status.OK);
    expect((await streaming).code).not.toBe(status.OK);
    await vi.waitFor(() => expect(inflight()).toBe(0));
  });

  it('does not wait for a connection on which nobody speaks', async () => {
    const app = appOf('greeter', { drainPauseMs: 0 });
    const { port } = await app.serve(grpcServer(serverOf(app).server), { host });
    const socket = net.connect(port, host).resume();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await new Promise((resolve) => socket.once('connect', resolve));
    await app.stop();
    await closed;
  });

  it('loses no call of a client that goes on', async () => {
    const registry = memory();
    const replicas = [appOf('greeter', { registry, drainPauseMs: 50 }), appOf('greeter', { registry })];
    for (const replica of replicas) await replica.serve(grpcServer(serverOf(replica).server), { host });
    const caller = appOf('caller', { registry });
    const channel = governedChannel(caller, 'greeter');
    const Client = grpc.makeClientConstructor(greeter, 'Greeter');
    const client = new Client(channel.getTarget(), grpc.credentials.createInsecure(), {
      channelOverride: channel,
    }) as unknown as GreeterClient;
    closers.push(() => client.close());
    const codes: number[] = [];
    let going = true;
    const load = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (going) codes.push((await say(client, { text: 'x' })).code);
      }),
    );
    await vi.waitFor(() => expect(codes.length).toBeGreaterThan(20));
    await replicas[0]?.stop();
    const before = codes.length;
    await vi.waitFor(() => expect(codes.length).toBeGreaterThan(before + 20));
    going = false;
    await load;
    expect(codes.filter((code) => code !== status.OK)).toEqual([]);
  });
});

describe('a gRPC server with TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-grpc-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('is registered as grpcs, and called by who trusts it', async () => {
    const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    const files = ['-keyout', keyFile, '-out', certFile];
    execFileSync('openssl', ['req', '-x509', ...kind, ...files, ...name], { stdio: 'ignore' });
    const [key, cert] = [readFileSync(keyFile), readFileSync(certFile)];
    const app = appOf('greeter');
    const credentials = grpc.ServerCredentials.createSsl(null, [{ private_key: key, cert_chain: cert }]);
    const served = await app.serve(grpcServer(serverOf(app).server, credentials), { host });
    expect(served.url).toBe(`grpcs://${host}:${served.port}`);
    const Client = grpc.makeClientConstructor(greeter, 'Greeter');
    const client = new Client(`localhost:${served.port}`, grpc.credentials.createSsl(cert));
    closers.push(() => client.close());
    expect((await say(client as unknown as GreeterClient)).code).toBe(status.OK);
  });
});

describe('a server of any other kind', () => {
  const fake = (log: string[], broken: Partial<Servable> = {}): Servable => ({
    listen: async ({ port }) => {
      log.push(`listen ${port}`);
      return { scheme: 'tcp', host, port: 4711 };
    },
    leave: () => void log.push('leave'),
    close: async (timeoutMs) => void log.push(`close ${timeoutMs}`),
    withdraw: async () => void log.push('withdraw'),
    ...broken,
  });

  it('is served too', async () => {
    const log: string[] = [];
    const app = appOf('raw', { closeTimeoutMs: 77 });
    expect((await app.serve(fake(log), { port: 1 })).url).toBe(`tcp://${host}:4711`);
    await app.stop();
    expect(log).toEqual(['listen 1', 'leave', 'close 77']);
  });

  it('that cannot listen is withdrawn', async () => {
    const log: string[] = [];
    const app = appOf('raw');
    const broken = fake(log, { listen: () => Promise.reject(new Error('no')) });
    await expect(app.serve(broken)).rejects.toThrow('no');
    expect(log).toEqual(['withdraw']);
    expect(app.state).toBe('idle');
  });

  it('that fails to leave and to close stops nothing, and is told', async () => {
    const log: string[] = [];
    const app = appOf('raw');
    const faults: unknown[] = [];
    app.events.on('fault', ({ error }) => faults.push(error));
    const errors = [new Error('leave'), new Error('close')];
    await app.serve(
      fake(log, {
        leave: () => {
          throw errors[0];
        },
        close: () => Promise.reject(errors[1]),
      }),
    );
    await app.stop();
    expect(app.state).toBe('stopped');
    expect(faults).toEqual(errors);
  });
});

describe('the health service', () => {
  const Health = grpc.makeClientConstructor(healthDefinition, 'Health');
  interface HealthClient extends grpc.Client {
    Check(request: HealthRequest, done: grpc.requestCallback<HealthResponse>): void;
    Watch(request: HealthRequest): grpc.ClientReadableStream<HealthResponse>;
  }
  function healthOf(port: number): HealthClient {
    const client = new Health(
      `${host}:${port}`,
      grpc.credentials.createInsecure(),
    ) as unknown as HealthClient;
    closers.push(() => client.close());
    return client;
  }
  const check = (client: HealthClient, service = '') =>
    new Promise<number | string>((resolve) => {
      client.Check({ service }, (error, answer) => resolve(answer?.status ?? status[error?.code ?? 0] ?? ''));
    });

  it('tells the state of the app, of the server and of its services', async () => {
    const app = appOf('greeter');
    const { port } = await app.serve(grpcServer(serverOf(app).server), { host });
    const client = healthOf(port);
    expect(await check(client)).toBe(servingStatus.SERVING);
    expect(await check(client, 'test.Greeter')).toBe(servingStatus.SERVING);
    expect(await check(client, 'test.Other')).toBe('NOT_FOUND');
  });

  it('says that a draining server is not to be called, and ends what is watched', async () => {
    const app = appOf('greeter', { drainPauseMs: 100 });
    const { port } = await app.serve(grpcServer(serverOf(app).server), { host });
    const client = healthOf(port);
    const watch = client.Watch({ service: '' });
    const seen: number[] = [];
    watch.on('data', (answer: HealthResponse) => seen.push(answer.status));
    watch.on('error', () => undefined);
    const over = new Promise<grpc.StatusObject>((resolve) => watch.on('status', resolve));
    const other = client.Watch({ service: 'test.Other' });
    const unknown = await new Promise<HealthResponse>((resolve) => other.once('data', resolve));
    expect(unknown.status).toBe(servingStatus.SERVICE_UNKNOWN);
    await vi.waitFor(() => expect(seen).toEqual([servingStatus.SERVING]));
    const stopped = app.stop();
    expect((await over).code).toBe(status.OK);
    expect(seen).toEqual([servingStatus.SERVING, servingStatus.NOT_SERVING]);
    expect(await check(healthOf(port))).toBe(servingStatus.NOT_SERVING);
    await stopped;
  });

  it('is not serving before the app is ready', async () => {
    const app = appOf('greeter');
    const { server } = serverOf(app);
    const port = await new Promise<number>((resolve) =>
      server.bindAsync(`${host}:0`, grpc.ServerCredentials.createInsecure(), (_, bound) => resolve(bound)),
    );
    closers.push(() => server.forceShutdown());
    expect(await check(healthOf(port))).toBe(servingStatus.NOT_SERVING);
  });

  it('forgets those who watched and went', async () => {
    const app = appOf('greeter');
    const { port } = await app.serve(grpcServer(serverOf(app).server), { host });
    expect(app.events.has('lifecycle')).toBe(false);
    const watch = healthOf(port).Watch({ service: '' });
    watch.on('error', () => undefined);
    await new Promise((resolve) => watch.once('data', resolve));
    expect(app.events.has('lifecycle')).toBe(true);
    watch.cancel();
    await vi.waitFor(() => expect(app.events.has('lifecycle')).toBe(false));
  });

  it('answers also where everything else is refused, and shows in no limit', async () => {
    const app = appOf('greeter');
    const asked: (string | undefined)[] = [];
    const full = {
      code: 'OVERLOADED' as const,
      tryAcquire: (_now: number, ask?: { operation?: string | undefined }) => {
        asked.push(ask?.operation);
        return null;
      },
    };
    const server = new grpc.Server({ interceptors: [governServer(app, { limits: [full], queue: false })] });
    server.addService(greeter, handlers as grpc.UntypedServiceImplementation);
    addHealth(server, app);
    const { port } = await app.serve(grpcServer(server), { host });
    expect((await say(clientOf(port))).code).toBe(status.RESOURCE_EXHAUSTED);
    expect(await check(healthOf(port))).toBe(servingStatus.SERVING);
    expect(asked).toEqual(['/test.Greeter/Say']);
  });

  it('follows the life of an app by its events', async () => {
    const app = appOf('greeter');
    const states: LifecycleEvent['state'][] = [];
    app.events.on('lifecycle', ({ state }) => states.push(state));
    await app.serve(grpcServer(serverOf(app).server), { host });
    await app.stop();
    expect(states).toEqual(['starting', 'ready', 'draining', 'stopped']);
  });
});

it('handlers governed without an app for the server are still handlers', async () => {
  const server = new grpc.Server();
  server.addService(
    greeter,
    governHandlers<GreeterHandlers>({ ...handlers, Say: async () => ({ text: 'async' }) } as never),
  );
  const app = appOf('bare');
  const { port } = await app.serve(grpcServer(server), { host });
  expect((await say(clientOf(port))).messages).toEqual([{ text: 'async' }]);
});
