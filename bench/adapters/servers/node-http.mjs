import http from 'node:http';
import { unshed } from './unshed.mjs';

/** @param {http.IncomingMessage} req @param {http.ServerResponse} res */
function answer(req, res) {
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify({ id: req.url?.slice('/users/'.length), name: 'Ada' }));
}

/** @param {import('keelson').App | undefined} app */
export const nodeHttpServer = (app) =>
  http.createServer(app ? app.listener(answer, { ...unshed(), routes: ['/users/:id'] }) : answer);
