import http from 'node:http';
import Router from '@koa/router';
import { governKoa } from 'keelson/koa';
import Koa from 'koa';
import { unshed } from './unshed.mjs';

/** @param {import('keelson').App | undefined} app */
export function koaServer(app) {
  const shop = new Koa();
  if (app) shop.use(governKoa(app, unshed()));
  const router = new Router();
  router.get('/users/:id', async (ctx) => {
    ctx.body = { id: ctx['params'].id, name: 'Ada' };
  });
  shop.use(router.routes());
  return http.createServer(shop.callback());
}
