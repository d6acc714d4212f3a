import http from 'node:http';
import http2 from 'node:http2';
import { createClient } from '@connectrpc/connect';
import { connectNodeAdapter } from '@connectrpc/connect-node';
import * as grpcJs from '@grpc/grpc-js';
import { createAdaptorServer } from '@hono/node-server';
import axios from 'axios';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import { type App, createApp } from 'keelson';
import { governAxios } from 'keelson/axios';
import { governedTransport, peerContext, serverInterceptor } from 'keelson/connect';
import type { Gate } from 'keelson/core';
import { governExpress } from 'keelson/express';
import { governFastify } from 'keelson/fastify';
import { governedClient, governHandlers, governServer } from 'keelson/grpc';
import { governHono } from 'keelson/hono';
import { governKoa } from 'keelson/koa';
import Koa from 'koa';
import { describe, expect, it } from 'vitest';
import { Greeter } from '../doubles/connect-greeter.js';
import { connect, connect1, grpc, listening, type Speech } from '../doubles/connect-replicas.js';
import { type GreeterClient, type GreeterHandlers, greeter, say } from '../doubles/grpc-greeter.js';
import { echo as grpcEcho } from '../doubles/grpc-replicas.js';
import { tidied } from '../doubles/tidied.js';

// Three tiers of which each would try twice: without a word between them a request to the top is eight at the bottom.

const { apps, closers } = tidied();

/** Two endpoints at one server, so that there is always another one to try. */
const twice = (url: string): string[] => [url, url.replace('127.0.0.1', 'localhost')];

/** An app that serves and calls the tier below at an address; nothing but its retries governs its calls. */
function tier(service: string, below: string | undefined): App {
  const app = createApp({
    service,
    signals: false,
    drainPauseMs: 0,
    ...(below === undefined ? {} : { endpoints: { below: twice(below) } }),
    client: plain,
  });
  app.events.on('fault', () => undefined);
  apps.push(app);
  return app;
}

const plain = {
  retry: { attempts: 2, baseMs: 0 },
  retryBudget: { ratio: 1, minPerSecond: 100 },
  gates: () => [],
  ejection: false as const,
};

async function open(server: http.Server | http2.Http2Server): Promise<string> {
  const { url, close } = await listening(server);
  closers.push(close);
  return url;
}

const counted: Record<string, number> = {};
const count = (name: string): void => {
  counted[name] = (counted[name] ?? 0) + 1;
};
const counts = (): Record<string, number> => {
  const taken = { ...counted };
  for (const name of Object.keys(counted)) delete counted[name];
  return taken;
};

/** The bottom, which is no server of keelson. */
const broken = (act: http.RequestListener = (_req, res) => void res.writeHead(500).end()): Promise<string> =>
  open(
    http.createServer((req, res) => {
      count('bottom');
      act(req, res);
    }),
  );

/** Asks the tier below for a text; rejects unless it gets one. */
async function ask(app: App): Promise<string> {
  const response = await app.fetch('below', plain)('/');
  const text = await response.text();
  if (!response.ok) throw new Error(`below: ${response.status}`);
  return text;
}

type Serve = (app: App, name: string) => http.Server;

const bare: Serve = (app, name) =>
  http.createServer(
    app.listener(async (_req, res) => {
      count(name);
      res.end(await ask(app));
    }),
  );

const servers: Record<string, Serve> = {
  'that throws': bare,
  'that answers 502 by itself': (app, name) =>
    http.createServer(
      app.listener(async (_req, res) => {
        count(name);
        const text = await ask(app).catch(() => undefined);
        if (text === undefined) res.writeHead(502, ['x-own', '1']).end('no');
        else res.end(text);
      }),
    ),
  'of Express': (app, name) => {
    const written = express();
    written.use(governExpress(app));
    written.get('/', async (_req, res) => {
      count(name);
      res.send(await ask(app));
    });
    written.use(
      ((_error, _req, res, _next) => void res.status(500).send('no')) as express.ErrorRequestHandler,
    );
    return http.createServer(written);
  },
  'of Koa': (app, name) => {
    const written = new Koa();
    written.silent = true;
    written.use(governKoa(app));
    written.use(async (context) => {
      count(name);
      context.body = await ask(app);
    });
    return http.createServer(written.callback());
  },
  'of Hono': (app, name) => {
    const written = new Hono();
    written.use(governHono(app));
    written.get('/', async (context) => {
      count(name);
      return context.text(await ask(app));
    });
    written.onError((_error, context) => context.text('no', 500));
    return createAdaptorServer(written) as http.Server;
  },
};

/** Two tiers over the bottom, and who calls the upper one. */
async function chain(serve: Serve, bottom: string) {
  const middle = await open(serve(tier('middle', bottom), 'middle'));
  const top = await open(serve(tier('top', middle), 'top'));
  return { user: tier('user', top), top };
}

describe.each(Object.entries(servers))('three tiers of servers %s', (_, serve) => {
  it('retry where the failure is, and nowhere else', async () => {
    const { user, top } = await chain(serve, await broken());
    await expect(ask(user)).rejects.toThrow();
    expect(counts()).toEqual({ top: 1, middle: 1, bottom: 2 });
    expect((await fetch(top)).headers.get('x-keelson-retry')).toBe('no');
    counts();
  });
});

it('so do those of Fastify', async () => {
  const shop = async (app: App, name: string) => {
    const written = fastify();
    written.register(governFastify(app));
    written.get('/', async () => {
      count(name);
      return ask(app);
    });
    await written.ready();
    return written.server;
  };
  const middle = await open(await shop(tier('middle', await broken()), 'middle'));
  const top = await open(await shop(tier('top', middle), 'top'));
  await expect(ask(tier('user', top))).rejects.toThrow();
  expect(counts()).toEqual({ top: 1, middle: 1, bottom: 2 });
});

describe('three tiers', () => {
  it('retry nothing that a breaker of one of them refuses', async () => {
    const shut: Gate = { code: 'BREAKER_OPEN', tryAcquire: () => null };
    const middleApp = tier('middle', await broken());
    const middle = await open(
      http.createServer(
        middleApp.listener(async (_req, res) => {
          count('middle');
          res.end(await (await middleApp.fetch('below', { ...plain, gates: () => [shut] })('/')).text());
        }),
      ),
    );
    const top = await open(bare(tier('top', middle), 'top'));
    await expect(ask(tier('user', top))).rejects.toThrow();
    expect(counts()).toEqual({ top: 1, middle: 1 });
  });

  it('pass on that there is no use in trying again, where one of them never does', async () => {
    const patient = tier('top', await open(bare(tier('middle', await broken()), 'middle')));
    const top = await open(
      http.createServer(
        patient.listener(async (_req, res) => {
          count('top');
          const response = await patient.fetch('below', { ...plain, retry: false })('/');
          res.writeHead(response.status).end(await response.text());
        }),
      ),
    );
    await expect(ask(tier('user', top))).rejects.toThrow();
    expect(counts()).toEqual({ top: 1, middle: 1, bottom: 2 });
  });

  it('retry at the bottom only when that answers too late', async () => {
    const slow = { ...plain, timeoutMs: 10_000, perTryTimeoutMs: 400 };
    const middleApp = tier('middle', await broken(() => undefined));
    const middle = await open(
      http.createServer(
        middleApp.listener(async (_req, res) => {
          count('middle');
          res.end(await (await middleApp.fetch('below', slow)('/')).text());
        }),
      ),
    );
    const top = await open(bare(tier('top', middle), 'top'));
    await expect(ask(tier('user', top))).rejects.toThrow();
    expect(counts()).toEqual({ top: 1, middle: 1, bottom: 2 });
  });

  it('also when the time of a whole call was over before its only try was', async () => {
    const slow = { ...plain, timeoutMs: 400 };
    const middleApp = tier('middle', await broken(() => undefined));
    const middle = await open(
      http.createServer(
        middleApp.listener(async (_req, res) => {
          count('middle');
          res.end(await (await middleApp.fetch('below', slow)('/')).text());
        }),
      ),
    );
    const top = await open(bare(tier('top', middle), 'top'));
    await expect(ask(tier('user', top))).rejects.toThrow();
    expect(counts()).toEqual({ top: 1, middle: 1, bottom: 1 });
  });

  it('retry what a tier fails by itself', async () => {
    const middleApp = tier('middle', undefined);
    const middle = await open(
      http.createServer(
        middleApp.listener((_req, res) => {
          count('middle');
          res.writeHead(500).end();
        }),
      ),
    );
    const top = await open(bare(tier('top', middle), 'top'));
    await expect(ask(tier('user', top))).rejects.toThrow();
    expect(counts()).toEqual({ top: 1, middle: 2 });
  });

  it('are not retried above after a handler that told of the failure elsewhere, with success, and passed it on', async () => {
    const [bottom, audit] = [await broken(), await open(http.createServer((_req, res) => res.end('noted')))];
    const middleApp = tier('middle', bottom);
    const told = tier('told', audit);
    const middle = await open(
      http.createServer(
        middleApp.listener(async (_req, res) => {
          count('middle');
          try {
            await ask(middleApp);
            res.end();
          } catch (error) {
            await (await told.fetch('below', plain)('/log', { method: 'POST', body: 'x' })).text();
            res.writeHead(500).end(String(error));
          }
        }),
      ),
    );
    const top = await open(bare(tier('top', middle), 'top'));
    await expect(ask(tier('user', top))).rejects.toThrow();
    expect(counts()).toEqual({ top: 1, middle: 1, bottom: 2 });
  });

  it('retry a tier that went on after a failure, and fails for another', async () => {
    const bottom = await broken((_req, res) => void res.writeHead(500).end());
    const middleApp = tier('middle', bottom);
    const middle = await open(
      http.createServer(
        middleApp.listener(async (_req, res) => {
          count('middle');
          await ask(middleApp).catch(() => undefined);
          const other = await middleApp.fetch('below', plain)('/other', { method: 'POST', body: 'x' });
          await other.text();
          res.writeHead(500).end();
        }),
      ),
    );
    await expect(ask(tier('user', middle))).rejects.toThrow();
    expect(counts()).toEqual({ middle: 2, bottom: 6 });
  });

  it('say nothing of retries when all went well in the end', async () => {
    let nth = 0;
    const bottom = await broken((_req, res) => void res.writeHead(++nth === 1 ? 500 : 200).end('well'));
    const { top } = await chain(bare, bottom);
    const response = await fetch(top);
    expect([response.status, response.headers.get('x-keelson-retry')]).toEqual([200, null]);
    expect(counts()).toEqual({ top: 1, middle: 1, bottom: 2 });
  });

  it('are heeded by axios', async () => {
    const { top } = await chain(bare, await broken());
    const user = tier('user', top);
    const client = governAxios(axios.create(), user, { service: 'below', ...plain });
    await expect(client.get('/')).rejects.toMatchObject({ response: { status: 500 } });
    expect(counts()).toEqual({ top: 1, middle: 1, bottom: 2 });
  });

  it('call by axios, and note what failed', async () => {
    const by = async (below: string, name: string) => {
      const app = tier(name, below);
      const client = governAxios(axios.create(), app, { service: 'below', ...plain });
      return open(
        http.createServer(
          app.listener(async (_req, res) => {
            count(name);
            res.end((await client.get('/')).data);
          }),
        ),
      );
    };
    const top = await by(await by(await broken(), 'middle'), 'top');
    await expect(ask(tier('user', top))).rejects.toThrow();
    expect(counts()).toEqual({ top: 1, middle: 1, bottom: 2 });
  });
});

describe('three tiers of gRPC', () => {
  const Client = grpcJs.makeClientConstructor(greeter, 'Greeter');
  const clientOf = (app: App): GreeterClient =>
    governedClient(app, Client, {
      service: 'below',
      idempotent: true,
      ...plain,
    } as never) as unknown as GreeterClient;

  async function serve(handlers: Partial<GreeterHandlers>, interceptors: grpcJs.ServerInterceptor[] = []) {
    const server = new grpcJs.Server({ interceptors });
    server.addService(greeter, { ...grpcEcho, ...handlers } as never);
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpcJs.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    closers.push(() => server.forceShutdown());
    return `grpc://127.0.0.1:${port}`;
  }

  async function between(below: string, name: string) {
    const app = tier(name, below);
    const client = clientOf(app);
    const handlers = governHandlers({
      Say: async ({ request }: { request: { text: string } }) => {
        count(name);
        const { code } = await say(client, { text: request.text });
        throw Object.assign(new Error('below'), { code });
      },
    });
    return serve(handlers as never, [governServer(app)]);
  }

  it('retry where the failure is, and say so as gRPC does', async () => {
    const bottom = await serve({
      Say: (_call, callback) => {
        count('bottom');
        callback({ code: grpcJs.status.UNAVAILABLE, details: 'down' });
      },
    });
    const top = await between(await between(bottom, 'middle'), 'top');
    expect(await say(clientOf(tier('user', top)), { text: 'x' })).toMatchObject({ code: 14 });
    expect(counts()).toEqual({ top: 1, middle: 1, bottom: 2 });
    const native = new Client(top.replace('grpc://', ''), grpcJs.credentials.createInsecure());
    const error = await new Promise<grpcJs.ServiceError>((resolve) =>
      (native as unknown as GreeterClient).Say({ text: 'x' }, new grpcJs.Metadata(), {}, (failure) =>
        resolve(failure as grpcJs.ServiceError),
      ),
    );
    native.close();
    expect(error.metadata.get('grpc-retry-pushback-ms')).toEqual(['-1']);
    counts();
  });
});

describe.each([connect, connect1, grpc])('three tiers of $name', (speech: Speech) => {
  const clientOf = (app: App) =>
    createClient(
      Greeter,
      governedTransport(app, 'below', { transport: speech.transport, idempotent: true, ...plain } as never),
    );

  const serve = (say: () => Promise<never>, app: App | undefined) => {
    const routes = connectNodeAdapter({
      interceptors: app === undefined ? [] : [serverInterceptor(app)],
      contextValues: peerContext,
      routes: (to) => void to.service(Greeter, { say }),
    });
    return open(speech.httpVersion === '2' ? http2.createServer(routes) : http.createServer(routes));
  };

  it.each(['as it is', 'as an error of its own'])(
    'retry where the failure is, if it goes on %s',
    async (how) => {
      const between = (below: string, name: string) => {
        const app = tier(name, below);
        const client = clientOf(app);
        const handle = async () => {
          count(name);
          try {
            await client.say({ value: 'x' });
          } catch (error) {
            throw how === 'as it is' ? error : new Error('below');
          }
          throw new Error('it was answered');
        };
        return serve(handle, app);
      };
      const bottom = await serve(async () => {
        count('bottom');
        throw new Error('down');
      }, undefined);
      const top = await between(await between(bottom, 'middle'), 'top');
      await expect(clientOf(tier('user', top)).say({ value: 'x' })).rejects.toThrow();
      expect(counts()).toEqual({ top: 1, middle: 1, bottom: 2 });
    },
  );
});
