import { createCall, GovernanceError, type RejectionCode, refusal } from 'keelson/core';
import { type HttpExchange, recover, replyWithError } from 'keelson/http';
import { describe, expect, it } from 'vitest';
import { type FakeRequest, fakeExchange } from './fake-exchange.js';

const rest = () => new Promise((resolve) => setImmediate(resolve));

async function reply(error: unknown, request: FakeRequest = {}) {
  const exchange = fakeExchange(request);
  replyWithError(exchange, error);
  await rest();
  const [head = '', body = ''] = exchange.written().split('\r\n\r\n');
  const [status = '', ...lines] = head.split('\r\n');
  const headers = new Map(lines.map((line) => line.toLowerCase().split(': ') as [string, string]));
  return { status, headers, body };
}

describe('an error is answered', () => {
  it.each([
    ['OVERLOADED', '503 Service Unavailable'],
    ['RATE_LIMITED', '429 Too Many Requests'],
    ['BREAKER_OPEN', '503 Service Unavailable'],
    ['SHUTTING_DOWN', '503 Service Unavailable'],
    ['NO_ENDPOINT', '503 Service Unavailable'],
    ['DEADLINE_EXCEEDED', '504 Gateway Timeout'],
    ['BAD_ENDPOINT', '502 Bad Gateway'],
  ] as [RejectionCode, string][])('%s with %s', async (code, expected) => {
    const { status, body } = await reply(refusal(code, 'x', { side: 'server' }));
    expect([status, body]).toEqual([`HTTP/1.1 ${expected}`, `${code}\n`]);
  });

  it.each([
    [new Error('secret')],
    ['secret'],
    [undefined],
    [null],
    [{ code: 'OVERLOADED', httpStatus: 503 }],
  ])('%s with 500 and no detail', async (error) => {
    const { status, body, headers } = await reply(error);
    expect([status, body]).toEqual(['HTTP/1.1 500 Internal Server Error', 'internal error\n']);
    expect(headers.get('retry-after')).toBeUndefined();
  });

  it('with what a page needs to read it, what tells of the call, and nothing else of what was prepared', async () => {
    const exchange = fakeExchange({});
    const { res } = exchange;
    res.setHeader('Access-Control-Allow-Origin', 'https://shop.example').setHeader('Vary', 'Origin');
    res.setHeader('Timing-Allow-Origin', '*').appendHeader('Server-Timing', 'db;dur=1');
    res.appendHeader('Server-Timing', 'app;dur=2').setHeader('X-Trace-Id', 'abc');
    res.setHeader('traceresponse', '00-a-b-01').setHeader('x-trace-id-own', '1');
    res
      .setHeader('set-cookie', 'a=b')
      .setHeader('x-access-control-own', '1')
      .setHeader('content-encoding', 'br');
    replyWithError(exchange, refusal('OVERLOADED', 'x', { side: 'server' }));
    await rest();
    const head = exchange.written().toLowerCase();
    expect(head).toContain('access-control-allow-origin: https://shop.example\r\nvary: origin\r\n');
    expect(head).toContain(
      'timing-allow-origin: *\r\nserver-timing: db;dur=1\r\nserver-timing: app;dur=2\r\n',
    );
    expect(head).toContain('x-trace-id: abc\r\ntraceresponse: 00-a-b-01\r\n');
    expect(head).not.toMatch(/set-cookie|x-access|content-encoding|x-trace-id-own/);
  });

  it.each([
    ['OVERLOADED', undefined, '1', undefined],
    ['OVERLOADED', 0, '1', '0'],
    ['RATE_LIMITED', 1, '1', '1'],
    ['RATE_LIMITED', 1000, '1', '1000'],
    ['RATE_LIMITED', 1000.2, '2', '1001'],
    ['BREAKER_OPEN', 59_000, '59', '59000'],
  ] as [RejectionCode, number | undefined, string, string | undefined][])(
    '%s with %s ms to wait: %s s, %s ms',
    async (code, retryAfterMs, seconds, exact) => {
      const { headers } = await reply(refusal(code, 'x', { side: 'server', retryAfterMs }));
      expect([
        headers.get('retry-after'),
        headers.get('retry-after-ms'),
        headers.get('x-keelson-shed'),
      ]).toEqual([seconds, exact, code.toLowerCase()]);
    },
  );

  it.each([
    ['by a callee', new GovernanceError('OVERLOADED', 'x', { side: 'client', retryAfterMs: 5 })],
    ['by nobody knows whom', new GovernanceError('OVERLOADED', 'x')],
    ['for want of time', new GovernanceError('DEADLINE_EXCEEDED', 'x', { side: 'server' })],
  ])('not as shed by this server, when it was refused %s', async (_, error) => {
    const { headers } = await reply(error);
    expect(headers.get('x-keelson-shed')).toBeUndefined();
    expect(headers.get('retry-after')).toBeUndefined();
  });
});

describe('what a refusal has for whoever sent the call', () => {
  const answer = { text: 'name: caf\u00e9 is too short', headers: { 'www-authenticate': 'Bearer' } };

  it('is in the body and in the headers', async () => {
    const { status, body, headers } = await reply(
      refusal('UNAUTHENTICATED', 'x', { side: 'server', answer }),
    );
    expect(status).toBe('HTTP/1.1 401 Unauthorized');
    expect(body).toBe('UNAUTHENTICATED\nname: caf\u00e9 is too short\n');
    expect(headers.get('content-length')).toBe(
      String(Buffer.byteLength(`UNAUTHENTICATED\n${answer.text}\n`)),
    );
    expect(headers.get('www-authenticate')).toBe('bearer');
  });

  it('is not passed on when a callee said it', async () => {
    const { status, body, headers } = await reply(
      refusal('INVALID_ARGUMENT', 'x', { side: 'client', answer }),
    );
    expect([status, body]).toEqual(['HTTP/1.1 500 Internal Server Error', 'INVALID_ARGUMENT\n']);
    expect(headers.get('www-authenticate')).toBeUndefined();
  });
});

describe('the connection', () => {
  const shed = refusal('OVERLOADED', 'x', { side: 'server' });
  it.each([
    ['a request without a body', { complete: true }, 'keep-alive'],
    ['nothing that was announced', { complete: false }, 'keep-alive'],
    ['a small body', { complete: false, headers: { 'content-length': '65536' } }, 'keep-alive'],
    ['a large body', { complete: false, headers: { 'content-length': '65537' } }, 'close'],
    ['a large body that has come', { complete: true, headers: { 'content-length': '65537' } }, 'keep-alive'],
    ['a body without a length', { complete: false, headers: { 'transfer-encoding': 'chunked' } }, 'close'],
    [
      'a body to be asked for',
      { complete: false, headers: { 'content-length': '1', expect: '100-continue' } },
      'close',
    ],
  ] as const)('after %s: %o, %s', async (_, request, connection) => {
    const { headers } = await reply(shed, { method: 'POST', ...request });
    expect(headers.get('connection')).toBe(connection);
  });
});

describe('what cannot be answered', () => {
  it('is left when it has ended', async () => {
    const exchange = fakeExchange();
    exchange.res.end('whole');
    replyWithError(exchange, new Error('x'));
    await rest();
    expect(exchange.written()).toMatch(/200 OK.*whole$/s);
  });

  it('is left when the client has gone', () => {
    const exchange = fakeExchange();
    exchange.disconnect();
    exchange.res.destroyed = true;
    replyWithError(exchange, new Error('x'));
    expect(exchange.written()).toBe('');
  });

  it('is cut when it has begun', () => {
    const exchange = fakeExchange();
    exchange.res.write('half');
    replyWithError(exchange, new Error('x'));
    expect(exchange.res.destroyed).toBe(true);
  });

  it('is cut when somebody broke the response', () => {
    const exchange = fakeExchange();
    exchange.res.end = () => {
      throw new Error('patched');
    };
    replyWithError(exchange, new Error('x'));
    expect(exchange.res.destroyed).toBe(true);
  });
});

describe('recover', () => {
  const call = () => createCall({ side: 'server', service: 'shop', operation: 'GET' });
  const failing = () => Promise.reject(new RangeError('mine'));

  it('tells of what it answers', async () => {
    const told: unknown[] = [];
    const exchange: HttpExchange = fakeExchange();
    const answered = await recover((error) => told.push(error))(failing)(exchange, call());
    expect(answered).toBe(exchange);
    expect(told).toEqual([new RangeError('mine')]);
    expect(exchange.res.statusCode).toBe(500);
  });

  it('answers although the hook throws, and what throws at once', async () => {
    const exchange: HttpExchange = fakeExchange();
    const hook = () => {
      throw new Error('hook');
    };
    const thrower = () => {
      throw new Error('at once');
    };
    await expect(recover(hook)(thrower)(exchange, call())).resolves.toBe(exchange);
  });
});
