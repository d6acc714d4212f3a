import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { createCall, refusal } from 'keelson/core';
import { exchangeProtocol, replyWithError, serveHandler } from 'keelson/http';
import { describe, expect, it } from 'vitest';
import { fakeListener } from '../../doubles/fake-listener.js';
import { type FakeRequest, fakeExchange } from './fake-exchange.js';

const late = refusal('DEADLINE_EXCEEDED', 'late', { side: 'server' });
const rest = async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** An exchange whose handler works on while it is answered on its behalf. */
function answered(request: FakeRequest = {}) {
  const exchange = fakeExchange(request);
  const serve = serveHandler(() => new Promise(() => undefined));
  void serve(exchange, createCall({ side: 'server', service: 'shop', operation: 'GET' }));
  const { socket } = exchange.req;
  replyWithError(exchange, late);
  return { ...exchange, socket };
}

describe('a response that was answered on behalf of its handler', () => {
  it('keeps the status that went out', async () => {
    const exchange = answered();
    exchange.res.statusCode = 200;
    await rest();
    expect(exchange.res.statusCode).toBe(504);
    expect(exchangeProtocol.classify(exchange, undefined)).toBe('failure');
  });

  it('is not destroyed', async () => {
    const { res, socket, written } = answered();
    expect(res.destroy(new Error('late'))).toBe(res);
    await rest();
    expect([socket.destroyed, written()]).toEqual([false, expect.stringContaining('DEADLINE_EXCEEDED')]);
  });
});

describe('the connection of such a request', () => {
  const cuts: Record<string, (req: IncomingMessage) => unknown> = {
    'req.socket.destroy': (req) => req.socket.destroy(),
    'req.connection.destroy': (req) => req.connection.destroy(),
    'req.socket.end': (req) => req.socket.end(),
    'req.socket.destroySoon': (req) => req.socket.destroySoon(),
    'req.destroy': (req) => req.destroy(),
  };
  it.each(Object.entries(cuts))('is not cut by %s', async (_, cut) => {
    const { req, socket } = answered();
    cut(req);
    await rest();
    expect([socket.destroyed, socket.writableEnded]).toEqual([false, false]);
  });

  it('can still be looked at and listened to', () => {
    const { req, socket } = answered({ remoteAddress: '10.0.0.7' });
    let heard = 0;
    req.socket.once('odd' as 'close', () => heard++);
    socket.emit('odd');
    (req.socket as Socket & { mark?: number }).mark = 3;
    expect([req.socket.remoteAddress, heard, (socket as { mark?: number }).mark]).toEqual(['10.0.0.7', 1, 3]);
  });

  it('is cut where the rest of the request would be in the way', async () => {
    const { req, socket } = answered({ complete: false, headers: { 'content-length': '900000' } });
    expect(req.socket).toBe(socket);
    await rest();
    expect(socket.destroyed).toBe(true);
  });

  it('is not touched when no handler runs', () => {
    const { req, res } = fakeExchange();
    const { socket } = req;
    replyWithError({ req, res }, refusal('OVERLOADED', 'no', { side: 'server' }));
    expect(req.socket).toBe(socket);
  });
});

it('an answer to a client that has left is none', async () => {
  const { req, res, disconnect } = fakeExchange();
  const { listener, outcomes } = fakeListener();
  let answer: () => void = () => undefined;
  const serve = listener(async () => {
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    res.end('late');
  });
  serve(req, res);
  disconnect();
  res.destroy();
  res.emit('close');
  await rest();
  answer();
  await rest();
  // For Node before 24 it is complete.
  expect([res.writableEnded, outcomes]).toEqual([true, ['ignored']]);
});
