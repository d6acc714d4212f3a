import http, { type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import Router from '@koa/router';
import express from 'express';
import express4 from 'express4';
import fastify from 'fastify';
import { Hono } from 'hono';
import type { App, AppListenerOptions } from 'keelson';
import type { Call } from 'keelson/core';
import { callOf as expressCallOf, governErrors, governExpress } from 'keelson/express';
import { callOf as fastifyCallOf, governFastify } from 'keelson/fastify';
import { governHono, callOf as honoCallOf } from 'keelson/hono';
import { governKoa, callOf as koaCallOf } from 'keelson/koa';
import Koa from 'koa';

/** What a handler of the table is given, whatever the framework. */
export interface Input {
  readonly params: Readonly<Record<string, string | undefined>>;
  /** Parsed by the framework's own body parser. */
  readonly body: unknown;
  /** By the adapter's `callOf`. */
  readonly call: Call | undefined;
}

/** One route of the table; answers with text. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  run(input: Input): string | Promise<string>;
}

/** One row: how a server is made with a framework and governed by its adapter. */
export interface Framework {
  readonly name: string;
  make(app: App, routes: readonly Route[], options: AppListenerOptions): Promise<http.Server>;
}

/** In callback style, as parsers do: what runs at its end is the parser's, and not the handler's. */
function readJson(req: IncomingMessage, done: (body: unknown) => void): void {
  let text = '';
  req.setEncoding('utf8');
  req.on('data', (chunk: string) => {
    text += chunk;
  });
  req.on('end', () => done(text === '' ? undefined : JSON.parse(text)));
}

const bodyOf = (req: IncomingMessage): Promise<unknown> => new Promise((resolve) => readJson(req, resolve));

function paramsOf(template: string, url: string): Record<string, string | undefined> {
  const segments = url.split('/');
  const params: Record<string, string | undefined> = {};
  for (const [at, name] of template.split('/').entries())
    if (name.startsWith(':')) params[name.slice(1)] = segments[at];
  return params;
}

const node: Framework = {
  name: 'node:http',
  make: async (app, routes, options) => {
    const table = new Map(routes.map((route) => [`${route.method} ${route.path}`, route]));
    return http.createServer(
      app.listener(
        async (req, res, call) => {
          const route = table.get(call.operation.replace('HEAD', 'GET'));
          if (route === undefined) {
            res.writeHead(404).end();
            return;
          }
          const body = req.method === 'POST' ? await bodyOf(req) : undefined;
          res.end(await route.run({ params: paramsOf(route.path, req.url ?? ''), body, call }));
        },
        { ...options, routes: routes.map(({ path }) => path) },
      ),
    );
  },
};

function expressOf(name: string, make: typeof express): Framework {
  return {
    name,
    make: async (app, routes, options) => {
      const shop = make();
      shop.use(governExpress(app, options));
      shop.use(make.json());
      for (const { method, path, run } of routes) {
        // Version 4 does not look at the promise of a handler.
        shop[method === 'GET' ? 'get' : 'post'](path, (req, res, next) => {
          Promise.resolve({ params: req.params as Input['params'], body: req.body, call: expressCallOf(req) })
            .then(run)
            .then((text) => res.send(text))
            .catch(next);
        });
      }
      shop.use(governErrors());
      return http.createServer(shop);
    },
  };
}

const fastifyRow: Framework = {
  name: 'Fastify 5',
  make: async (app, routes, options) => {
    const shop = fastify();
    await shop.register(governFastify(app, options));
    for (const { method, path, run } of routes) {
      shop.route({
        method,
        url: path,
        handler: async (request) =>
          run({
            params: request.params as Input['params'],
            body: request.body,
            call: fastifyCallOf(request),
          }),
      });
    }
    await shop.ready();
    return shop.server;
  },
};

const koaRow: Framework = {
  name: 'Koa 3',
  make: async (app, routes, options) => {
    const shop = new Koa();
    shop.silent = true;
    shop.use(governKoa(app, options));
    const router = new Router();
    router.use(async (ctx, next) => {
      if (ctx.method === 'POST') ctx.state['body'] = await bodyOf(ctx.req);
      await next();
    });
    for (const { method, path, run } of routes) {
      router.register(path, [method], async (ctx) => {
        ctx.body = await run({
          params: ctx['params'] as Input['params'],
          body: ctx.state['body'],
          call: koaCallOf(ctx),
        });
      });
    }
    shop.use(router.routes());
    return http.createServer(shop.callback());
  },
};

const honoRow: Framework = {
  name: 'Hono',
  make: async (app, routes, options) => {
    const shop = new Hono();
    shop.use(governHono(app, options));
    for (const { method, path, run } of routes) {
      shop.on(method, path, async (c) => {
        const body = method === 'POST' ? await c.req.json() : undefined;
        return c.text(await run({ params: c.req.param(), body, call: honoCallOf(c) }));
      });
    }
    return createAdaptorServer(shop) as http.Server;
  },
};

/** All that a server can be written with. */
export const frameworks: readonly Framework[] = [
  node,
  expressOf('Express 4', express4),
  expressOf('Express 5', express),
  fastifyRow,
  koaRow,
  honoRow,
];

/** Listens on a free port of the loopback. */
export async function listen(server: http.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
