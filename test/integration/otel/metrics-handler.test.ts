import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { serve } from '@hono/node-server';
import Router from '@koa/router';
import { metrics, trace } from '@opentelemetry/api';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import { metricsHandler, type Telemetry, telemetry } from 'keelson/otel';
import Koa from 'koa';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

let t: Telemetry;
const closers: (() => unknown)[] = [];

beforeAll(() => {
  t = telemetry({ service: 'shop', metrics: true });
  const meter = metrics.getMeter('user');
  for (let at = 0; at < 50; at++) meter.createCounter(`orders.${at}`).add(3, { shop: 'north' });
});
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});
afterAll(async () => {
  await t.shutdown();
  trace.disable();
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

function ask(port: number, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    http
      .request({ host: '127.0.0.1', port, path: '/metrics', method, headers, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) }),
        );
      })
      .on('error', reject)
      .end();
  });
}

async function listening(server: http.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

const counted = /orders_0_total\{[^}]*shop="north"[^}]*\} 3\n/;

describe('metricsHandler', () => {
  it('answers in the form that the client accepts', async () => {
    const port = await listening(http.createServer(metricsHandler(t)));
    const plain = await ask(port);
    expect(plain.status).toBe(200);
    expect(plain.headers['content-type']).toContain('text/plain; version=0.0.4');
    expect(plain.body.toString()).toMatch(counted);
    const open = await ask(port, { accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' });
    expect(open.headers['content-type']).toContain('application/openmetrics-text');
    expect(open.body.toString()).toMatch(/# EOF\n$/);
  });

  it.each([
    ['gzip', true],
    ['deflate, gzip;q=0.5', true],
    ['*', true],
    ['gzip;q=0', false],
    ['identity', false],
  ])('compresses for %s: %s', async (accepted, zipped) => {
    const port = await listening(http.createServer(metricsHandler(t)));
    const { headers, body } = await ask(port, { 'accept-encoding': accepted });
    expect(headers['content-encoding']).toBe(zipped ? 'gzip' : undefined);
    expect(Number(headers['content-length'])).toBe(body.length);
    expect((zipped ? gunzipSync(body) : body).toString()).toMatch(counted);
  });

  it('knows GET and HEAD, and says so', async () => {
    const port = await listening(http.createServer(metricsHandler(t)));
    expect((await ask(port, {}, 'HEAD')).body).toHaveLength(0);
    const other = await ask(port, {}, 'POST');
    expect([other.status, other.headers.allow]).toEqual([405, 'GET, HEAD']);
  });

  it('a collection that fails is a 500 that tells nobody why', async () => {
    const failing = { metricsText: () => Promise.reject(new Error('secret')) };
    const { status, body } = await ask(await listening(http.createServer(metricsHandler(failing))));
    expect(status).toBe(500);
    expect(body.toString()).not.toContain('secret');
  });

  it('is for what has metrics', () => {
    expect(() => metricsHandler({} as never)).toThrow('metricsHandler');
  });
});

describe('in frameworks', () => {
  it('Express, as Nest has it too', async () => {
    const app = express();
    app.get('/metrics', metricsHandler(t));
    expect((await ask(await listening(http.createServer(app)))).body.toString()).toMatch(counted);
  });

  it('Fastify', async () => {
    const app = fastify();
    app.get('/metrics', async (request, reply) => {
      const { contentType, body } = await t.metricsText(request.headers.accept);
      return reply.type(contentType).send(body);
    });
    await app.listen({ port: 0, host: '127.0.0.1' });
    closers.push(() => app.close());
    const { body, headers } = await ask((app.server.address() as AddressInfo).port);
    expect(body.toString()).toMatch(counted);
    expect(headers['content-type']).toContain('version=0.0.4');
  });

  it('Koa', async () => {
    const app = new Koa();
    const router = new Router();
    router.get('/metrics', async (ctx) => {
      const { contentType, body } = await t.metricsText(ctx.get('accept'));
      ctx.type = contentType;
      ctx.body = body;
    });
    app.use(router.routes());
    expect((await ask(await listening(http.createServer(app.callback())))).body.toString()).toMatch(counted);
  });

  it('Hono', async () => {
    const app = new Hono();
    app.get('/metrics', async (c) => {
      const { contentType, body } = await t.metricsText(c.req.header('accept'));
      return c.body(body, 200, { 'content-type': contentType });
    });
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
    await new Promise((resolve) => server.once('listening', resolve));
    closers.push(() => server.close());
    expect((await ask((server.address() as AddressInfo).port)).body.toString()).toMatch(counted);
  });

  it('a server of HTTP/2', async () => {
    const server = http2.createServer(metricsHandler(t));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    closers.push(() => {
      session.destroy();
      server.close();
    });
    const stream = session.request({ ':path': '/metrics' });
    let body = '';
    for await (const chunk of stream) body += chunk;
    expect(body).toMatch(counted);
  });
});
