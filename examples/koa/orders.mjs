// A Koa app, governed by its first middleware: five calls at once for each tenant, one more each ten seconds.
import http from 'node:http';
import Router from '@koa/router';
import { createApp } from 'keelson';
import { callOf, governKoa } from 'keelson/koa';
import { rate } from 'keelson/limiter';
import Koa from 'koa';

const app = createApp({ service: 'orders' });
const api = new Koa();
api.use(
  governKoa(app, {
    key: (req) => String(req.headers['x-tenant']),
    limits: [rate({ perSecond: 0.1, burst: 5, by: 'key' })],
    health: true,
  }),
);

const router = new Router();
router.get('/orders/:id', (ctx) => {
  // Koa answers errors as ever.
  if (ctx.params.id === '0') ctx.throw(404, 'no such order');
  ctx.body = { id: ctx.params.id, operation: callOf(ctx)?.operation };
});
api.use(router.routes());

const { url } = await app.serve(http.createServer(api.callback()), { host: '127.0.0.1' });
console.log(`orders at ${url}`);
