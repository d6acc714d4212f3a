// An Express app that asks users with the axios instance that it always had.
import http from 'node:http';
import axios from 'axios';
import express from 'express';
import { createApp } from 'keelson';
import { governAxios } from 'keelson/axios';
import { governErrors, governExpress } from 'keelson/express';

const app = createApp({ service: 'orders', registry: process.env.REGISTRY });
const users = axios.create({ baseURL: 'http://users' });
users.interceptors.request.use((config) => {
  config.headers.set('x-request-id', 'r-1');
  return config;
});
governAxios(users, app, { service: 'users', routes: ['/users/:id'], axios });

const api = express().use(governExpress(app));
api.get('/orders/:id', async (req, res) => {
  const { data, config } = await users.get(`/users/${req.query.user ?? 42}`);
  res.json({ id: req.params.id, user: data, requestId: config.headers.get('x-request-id') });
});
// Errors of axios are what they were: a 404 of users is still an AxiosError with its response.
api.use((error, _req, res, next) => {
  if (axios.isAxiosError(error) && error.response) res.status(502).json(error.response.data);
  else next(error);
});
api.use(governErrors());

const { url } = await app.serve(http.createServer(api), { host: '127.0.0.1' });
console.log(`orders at ${url}`);
