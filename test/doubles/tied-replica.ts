import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type Call, compose, type Handler, type Middleware, noticeStart } from 'keelson/core';
import { type HttpExchange, recover, serveHandler, toListener } from 'keelson/http';

/** Holds calls until they are let go on, in order, as a queue does: those that are given up meanwhile never run. */
export class Line {
  private readonly waiting: (() => void)[] = [];
  open = true;

  get length(): number {
    return this.waiting.length;
  }

  readonly middleware: Middleware<HttpExchange, HttpExchange> =
    (next: Handler<HttpExchange, HttpExchange>) => (exchange, call) =>
      this.turn(call).then(() => {
        noticeStart(call);
        return next(exchange, call);
      });

  /** Lets one go on. */
  step(): void {
    this.waiting.shift()?.();
  }

  turn(call: Call): Promise<void> {
    if (this.open) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.waiting.push(resolve);
      call.cancel.onAbort(() => {
        const at = this.waiting.indexOf(resolve);
        if (at >= 0) this.waiting.splice(at, 1);
        reject(call.cancel.reason);
      });
    });
  }
}

/** A server of keelson with a line before its handler. */
export async function tiedReplica(name: string, options: { tied?: boolean; load?: string } = {}) {
  const line = new Line();
  const ran: string[] = [];
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  let opened = 0;
  let held: Promise<void> | undefined;
  let broken = false;
  const handler = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    ran.push(`${req.method} ${req.url}`);
    if (broken) {
      broken = false;
      throw new Error('broken');
    }
    if (held !== undefined) await held;
    res.setHeader('x-keelson-load', options.load ?? 'backlog=50, service=5, rate=150');
    res.end(name);
  };
  const listener = toListener(compose([recover(), line.middleware], serveHandler(handler)), {
    service: 'users',
    tied: options.tied ?? true,
  });
  const server = http.createServer((req, res) => {
    if (req.url?.startsWith('/.well-known/')) asked.push(`${req.headers['x-keelson-tied-ask'] ?? req.url}`);
    listener(req, res);
  });
  server.on('connection', (socket) => {
    opened++;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    name,
    url,
    line,
    ran,
    asked,
    listener,
    /** Connections that are open. */
    sockets,
    /** Connections that ever were. */
    get opened() {
      return opened;
    },
    hold(until: Promise<void> | undefined) {
      held = until;
    },
    /** Has the next call fail when it has started. */
    break() {
      broken = true;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type TiedReplica = Awaited<ReturnType<typeof tiedReplica>>;
