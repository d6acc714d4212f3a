// An Express app, governed by its first middleware. It works with Express 4 as well.
import http from 'node:http';
import express from 'express';
import { createApp } from 'keelson';
import { governErrors, governExpress } from 'keelson/express';

const app = createApp({ service: 'users', registry: process.env.REGISTRY });
const api = express()
  .use(governExpress(app, { health: true }))
  .use(express.json());
api.get('/users/:id', (req, res) => {
  if (req.params.id === '0') res.status(404).json({ error: 'no such user' });
  else res.json({ name: 'Ada', replica: process.env.REPLICA });
});
api.use(governErrors());

const { url } = await app.serve(http.createServer(api), { host: '127.0.0.1' });
console.log(`users at ${url}`);
