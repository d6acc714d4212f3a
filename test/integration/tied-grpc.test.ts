import * as grpc from '@grpc/grpc-js';
import { type App, createApp } from 'keelson';
import type { Balancer } from 'keelson/balancer';
import { type Call, type Endpoint, type Middleware, noticeStart } from 'keelson/core';
import {
  type GovernedClientOptions,
  type GrpcExchange,
  governedClient,
  governHandlers,
  governServer,
  type ServerSource,
} from 'keelson/grpc';
import { describe, expect, it, vi } from 'vitest';
import {
  type GreeterClient,
  type GreeterHandlers,
  greeter,
  greeterClient,
  say,
} from '../doubles/grpc-greeter.js';
import { callerOf, echo, inflight } from '../doubles/grpc-replicas.js';
import { tidied } from '../doubles/tidied.js';
import { Line } from '../doubles/tied-replica.js';

const { apps, closers } = tidied();
const Greeter = grpc.makeClientConstructor(greeter, 'Greeter');
const id = '0b7e3f52-9d1c-4c55-8a41-5f2f3b7a9c01';

/** A server of an app that is always as loaded. */
const loaded = (app: App): ServerSource => ({
  service: app.service,
  server: (options, handler) => {
    const recover: typeof options.recover = (tell) =>
      options.recover(tell, () => ({ backlogMs: 50, serviceMs: 5, perSecond: 150 }));
    return app.server({ ...options, recover }, handler);
  },
});

/** A governed server with a line before its handlers. */
async function replica(name: string, own: Partial<GreeterHandlers> = {}) {
  const app = createApp({ service: 'greeter', signals: false });
  closers.push(() => app.stop());
  const line = new Line();
  const ran: string[] = [];
  /** What handlers see of the marks of copies. */
  const marks: unknown[] = [];
  const use =
    (next: Parameters<Middleware<GrpcExchange, GrpcExchange>>[0]) => (exchange: GrpcExchange, call: Call) =>
      line.turn(call).then(() => {
        noticeStart(call);
        return next(exchange, call);
      });
  const server = new grpc.Server({
    interceptors: [governServer(loaded(app), { use: [use], queue: false })],
  });
  const handlers: GreeterHandlers = {
    ...echo,
    Say: ({ request, metadata }, callback) => {
      ran.push(request.text ?? '');
      marks.push(...metadata.get('x-keelson-tied'));
      callback(null, { text: name });
    },
    ...own,
  };
  server.addService(greeter, governHandlers(handlers as never) as never);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  closers.push(() => server.forceShutdown());
  return { name, line, ran, marks, port, url: `grpc://127.0.0.1:${port}` };
}

async function scene(
  options: Omit<GovernedClientOptions, 'service'> = {},
  own: Partial<GreeterHandlers> = {},
) {
  const [a, b] = [await replica('a', own), await replica('b', own)];
  const app = callerOf([a.url, b.url]);
  apps.push(app);
  let list: readonly Endpoint[] = [];
  let first = a.url;
  const balancer: Balancer = {
    update: (endpoints) => {
      list = endpoints;
    },
    pick: (_now, hint) => {
      const open = list.filter(({ id: one }) => !hint?.avoid?.has(one));
      const endpoint = open.find(({ url }) => url === first) ?? open[0] ?? list[0];
      if (endpoint === undefined) return null;
      return { endpoint, reason: 'first', observe: () => undefined, release: () => undefined };
    },
  };
  const client = governedClient(app, Greeter, {
    service: 'greeter',
    idempotent: ['Say', 'Count'],
    balancer,
    retry: false,
    gates: () => [],
    tied: { delayMs: 1 },
    ...options,
  }) as unknown as GreeterClient;
  const told = async () => (await say(client, { text: 'x' })).messages[0]?.text;
  first = b.url;
  expect(await told()).toBe('b');
  first = a.url;
  expect(await told()).toBe('a');
  a.ran.length = 0;
  b.ran.length = 0;
  return { a, b, client, told, app };
}

describe('tied requests over gRPC', () => {
  it('keeps the copy that starts first, and cancels the other before it runs', async () => {
    const { a, b, told, app } = await scene();
    a.line.open = false;
    for (let round = 0; round < 5; round++) expect(await told()).toBe('b');
    await vi.waitFor(() => expect(a.line.length).toBe(0));
    expect([a.ran.length, b.ran.length]).toEqual([0, 5]);
    await vi.waitFor(() => expect(inflight(app)).toBe(0));
  });

  it('cancels the second copy when the first starts after all', async () => {
    const { a, b, told } = await scene();
    a.line.open = false;
    b.line.open = false;
    const running = told();
    await vi.waitFor(() => expect([a.line.length, b.line.length]).toEqual([1, 1]));
    a.line.step();
    expect(await running).toBe('a');
    await vi.waitFor(() => expect(b.line.length).toBe(0));
    expect(b.ran).toEqual([]);
  });

  it('leaves a call alone that must not run twice', async () => {
    const { a, b, told } = await scene({ idempotent: false });
    a.line.open = false;
    const running = told();
    await vi.waitFor(() => expect(a.line.length).toBe(1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    a.line.step();
    expect(await running).toBe('a');
    expect(b.ran).toEqual([]);
  });

  it('answers a copy that was here before without running it', async () => {
    const a = await replica('a');
    const client = greeterClient(a.port);
    closers.push(() => client.close());
    const metadata = { 'x-keelson-tied': `id=${id}; copy=1; mode=free` };
    expect((await say(client, {}, { metadata })).code).toBe(grpc.status.OK);
    const again = await say(client, {}, { metadata: { 'x-keelson-tied': `id=${id}; copy=2; mode=free` } });
    expect(again.code).toBe(grpc.status.CANCELLED);
    expect(again.metadata.get('x-keelson-tied')).toEqual(['duplicate']);
    // Of the same copy nobody says that it did not run.
    const twice = await say(client, {}, { metadata });
    expect(twice.metadata.get('x-keelson-tied')).toEqual(['started']);
    expect(a.ran).toHaveLength(1);
    expect(a.marks).toEqual([]);
  });

  it('runs nothing that would have to be let, for nobody can', async () => {
    const a = await replica('a');
    const client = greeterClient(a.port);
    closers.push(() => client.close());
    const ended = await say(client, {}, { metadata: { 'x-keelson-tied': `id=${id}; copy=2; mode=claim` } });
    expect(ended.code).toBe(grpc.status.CANCELLED);
    expect(a.ran).toEqual([]);
  });

  it('loses no headers of a handler: the first time they come as trailers, then as headers again', async () => {
    const Say: GreeterHandlers['Say'] = (call, callback) => {
      const own = new grpc.Metadata();
      own.set('x-own', 'yes');
      call.sendMetadata(own);
      callback(null, { text: 'own' });
    };
    const { port } = await replica('a', { Say });
    const client = greeterClient(port);
    closers.push(() => client.close());
    const ask = (uuid: string) =>
      new Promise<[unknown, unknown, unknown]>((resolve, reject) => {
        const metadata = new grpc.Metadata();
        metadata.set('x-keelson-tied', `id=${uuid}; copy=1; mode=free`);
        let headers = new grpc.Metadata();
        const call = client.Say({}, metadata, {}, (error) => {
          if (error) reject(error);
        });
        call.on('metadata', (given: grpc.Metadata) => {
          headers = given;
        });
        call.on('status', ({ metadata: trailers }) =>
          resolve([headers.get('x-keelson-tied')[0], headers.get('x-own')[0], trailers.get('x-own')[0]]),
        );
      });
    expect(await ask(id)).toEqual(['started', undefined, 'yes']);
    expect(await ask(id.replace('0b', '1b'))).toEqual(['started', 'yes', undefined]);
  });
});
