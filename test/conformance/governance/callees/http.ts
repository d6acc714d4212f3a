import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { App } from 'keelson';
import type { Callee, Inbound } from '../callee.js';

function inboundOf(req: IncomingMessage, res: ServerResponse): Inbound {
  const entries = Object.entries(req.headers).map(([name, value]): [string, string] => [name, String(value)]);
  const metadata = Object.fromEntries(entries);
  const told = metadata['x-keelson-timeout-ms'];
  return {
    metadata,
    leftMs: told === undefined ? undefined : Number(told),
    onGone: (tell) => void res.on('close', () => res.writableFinished || tell()),
    answer: (text) => void res.end(text),
    begin: (text) => void res.writeHead(200).write(text),
    end: () => void res.end(),
    fail: () => void res.writeHead(500).end('broken'),
    shed: (retryAfterMs, as) => {
      if (as === 'any') {
        res.writeHead(429, { 'retry-after': String(retryAfterMs / 1000) }).end('too much');
        return;
      }
      const headers = { 'x-keelson-shed': 'OVERLOADED', 'retry-after-ms': String(retryAfterMs) };
      res.writeHead(503, headers).end('OVERLOADED');
    },
  };
}

/** `node:http`, HTTP/1.1. */
export const httpCallee: Callee = {
  scheme: 'http',
  make: (receive, app?: App) => {
    const listener = (req: IncomingMessage, res: ServerResponse): void => {
      req.resume();
      receive(inboundOf(req, res));
    };
    const server = http.createServer(app === undefined ? listener : app.listener(listener, { limits: [] }));
    return {
      servable: server,
      listen: async () => {
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        return (server.address() as AddressInfo).port;
      },
      closeIdle: () => server.closeIdleConnections(),
      close: () => {
        server.closeAllConnections();
        server.close();
      },
    };
  },
};
