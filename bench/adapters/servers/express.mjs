import http from 'node:http';
import express from 'express';
import { governErrors, governExpress } from 'keelson/express';
import { unshed } from './unshed.mjs';

/** @param {import('keelson').App | undefined} app */
export function expressServer(app) {
  const shop = express();
  if (app) shop.use(governExpress(app, unshed()));
  shop.get('/users/:id', async (req, res) => {
    res.json({ id: req.params.id, name: 'Ada' });
  });
  if (app) shop.use(governErrors());
  return http.createServer(shop);
}
