import { EventEmitter } from 'node:events';
import { exchangeProtocol, recover, serveHandler, toListener } from 'keelson/http';
import { bbr } from 'keelson/limiter';
import { serverStack } from 'keelson/stack';
import { httpServerSemantics } from 'keelson/telemetry';

const socket = { remoteAddress: '127.0.0.1' };

/** As much of `node:http`'s response as a handler and a server stack touch. */
class StubResponse extends EventEmitter {
  statusCode = 200;
  headersSent = false;
  closed = false;
  destroyed = false;
  writableEnded = false;
  writableFinished = false;
  socket = socket;
  writeHead() {
    this.headersSent = true;
    return this;
  }
  hasHeader() {
    return false;
  }
  end() {
    if (!this.headersSent) this.writeHead();
    this.writableEnded = true;
    this.writableFinished = true;
    this.closed = true;
    this.emit('close');
  }
}

const headers = { host: 'orders', 'x-keelson-timeout-ms': '9000', accept: '*/*' };

/** @typedef {(req: any, res: any) => unknown} Listener */

/** Answers in a later turn, as a handler does that has asked somebody. @type {Listener} */
const handle = async (_req, res) => {
  await undefined;
  res.end();
};

/** @param {Listener} listener */
function exchanges(listener) {
  return async (/** @type {number} */ calls) => {
    let answered = 0;
    for (let i = 0; i < calls; i++) {
      const res = new StubResponse();
      const over = new Promise((resolve) => res.once('close', resolve));
      listener({ method: 'GET', url: '/orders/7', httpVersionMajor: 1, headers, socket }, res);
      await over;
      answered += res.statusCode === 200 ? 1 : 0;
    }
    return answered;
  };
}

/**
 * @param {boolean} context
 * @param {Partial<import('keelson/stack').ServerPolicy<import('keelson/http').HttpExchange, import('keelson/http').HttpExchange>>} policy
 */
function governed(context, policy) {
  const stack = serverStack(
    { protocol: exchangeProtocol, semantics: httpServerSemantics, recover: recover(), ...policy },
    serveHandler(handle, { context }),
  );
  return toListener(stack, { service: 'orders', routes: ['/orders/:id'] });
}

/** A server stack over an exchange without a socket. @returns {import('../harness.mjs').Subject} */
export function serverStacks() {
  const against = 'server.bare';
  const limits = [bbr({ load: () => 0.5 })];
  return {
    title: 'Server stack over a stub exchange, inbound deadline',
    cases: [
      { id: 'server.bare', name: 'the handler alone', batch: exchanges(handle) },
      {
        id: 'server.least',
        name: 'toListener, serverStack: recover and deadline',
        against,
        batch: exchanges(governed(false, { tracing: false, metrics: false })),
      },
      {
        id: 'server.limit',
        name: '+ bbr, tracing and metrics, no SDK',
        against,
        batch: exchanges(governed(false, { limits })),
      },
      {
        id: 'server.full',
        name: '+ AsyncLocalStorage = app.listener, all defaults',
        against,
        context: true,
        batch: exchanges(governed(true, { limits: [bbr({ load: () => 0.5 })] })),
      },
    ],
  };
}
