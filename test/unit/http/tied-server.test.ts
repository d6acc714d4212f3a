import type { IncomingHttpHeaders } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Call, compose, type Handler, noticeNext, noticeStart } from 'keelson/core';
import { type HttpExchange, type ListenerOptions, recover, serveHandler, toListener } from 'keelson/http';
import { manualClock } from 'keelson/testing';
import { describe, expect, it, vi } from 'vitest';
import { type FakeExchange, type FakeRequest, fakeExchange } from './fake-exchange.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const id = '0b7e3f52-9d1c-4c55-8a41-5f2f3b7a9c01';
const other = id.replace('0b', '1b');
const mark = (copy = 1, mode = 'free', of = id) => ({
  'x-keelson-tied': `id=${of}; copy=${copy}; mode=${mode}`,
});

/** A listener whose calls wait before their handler until they are let go on. */
function scene(options: Partial<ListenerOptions> = {}, before?: Handler<HttpExchange, HttpExchange>) {
  const clock = manualClock(1000);
  const ran: string[] = [];
  const seen: IncomingHttpHeaders[] = [];
  const waiting: (() => void)[] = [];
  const calls: Call[] = [];
  const line =
    (next: Handler<HttpExchange, HttpExchange>): Handler<HttpExchange, HttpExchange> =>
    (exchange, call) => {
      calls.push(call);
      return new Promise<void>((resolve, reject) => {
        waiting.push(resolve);
        call.cancel.onAbort(() => reject(call.cancel.reason));
      }).then(() => {
        noticeStart(call);
        return next(exchange, call);
      });
    };
  const serve = serveHandler((req, res) => {
    ran.push(req.url ?? '');
    seen.push(req.headers);
    res.end('done');
  });
  const listener = toListener(compose([recover(), before ? () => before : line], serve), {
    service: 'users',
    trust: true,
    tied: true,
    clock,
    ...options,
  });
  const send = async (request: FakeRequest): Promise<FakeExchange> => {
    const exchange = fakeExchange(request);
    listener(exchange.req, exchange.res);
    await clock.advance(0);
    return exchange;
  };
  const ask = async (what: string, copy = 1, mode = 'free', of = id) => {
    const headers = { ...mark(copy, mode, of), 'x-keelson-tied-ask': what };
    const { res, written } = await send({ method: 'POST', url: '/.well-known/keelson/tied', headers });
    return `${res.statusCode} ${/x-keelson-tied: (\w+)/.exec(written())?.[1]}`;
  };
  const step = async () => {
    waiting.shift()?.();
    await clock.advance(0);
  };
  return { clock, ran, seen, calls, send, ask, step };
}

const claim = (path = '/x', of = id): FakeRequest => ({
  method: 'POST',
  url: `/.well-known/keelson/tied/claim${path}`,
  headers: mark(2, 'claim', of),
});

describe('tied copies on a server', () => {
  it('tells of a start by 102, to whoever marked the request', async () => {
    const { send, step } = scene();
    const [marked, plain] = [await send({ headers: mark() }), await send({})];
    expect(marked.written()).toBe('');
    await step();
    await step();
    expect(marked.written()).toMatch(/^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 200 OK/);
    expect(plain.written()).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  it('takes a copy back that has not started: it never runs, and says so', async () => {
    const { send, ask, step, ran, calls } = scene();
    const copy = await send({ headers: mark() });
    expect(await ask('withdraw')).toBe('200 withdrawn');
    expect(copy.written()).toMatch(/^HTTP\/1\.1 499 /);
    expect(copy.written()).toContain('x-keelson-tied: withdrawn');
    expect(calls[0]?.cancel.aborted).toBe(true);
    await step();
    expect(ran).toEqual([]);
    expect([await ask('withdraw'), await ask('grant')]).toEqual(['200 withdrawn', '200 withdrawn']);
  });

  it.each<[string, FakeRequest]>([
    ['free', { headers: mark() }],
    ['to be let', claim()],
  ])(
    'is a mark for this server only: no handler passes on one of a copy that is %s',
    async (_mode, request) => {
      const { send, ask, step, seen } = scene();
      await send(request);
      await step();
      await ask('grant', 2, 'claim');
      expect(seen.map((headers) => headers['x-keelson-tied'])).toEqual([undefined]);
    },
  );

  it('leaves a copy alone that has started', async () => {
    const { send, ask, step, ran } = scene();
    const copy = await send({ headers: mark() });
    await step();
    expect(await ask('withdraw')).toBe('200 started');
    expect(ran).toEqual(['/']);
    expect(copy.written()).toContain('200 OK');
  });

  it.each([
    ['the other copy', mark(2), 'duplicate'],
    ['the same once more, which may have run', mark(1), 'started'],
  ])('runs one of a call: %s is turned away, before anybody hears of it', async (_name, headers, state) => {
    const { send, step, ran, calls } = scene();
    await send({ headers: mark(1) });
    const again = await send({ headers });
    expect(again.written()).toMatch(/^HTTP\/1\.1 499 /);
    expect(again.written()).toContain(`x-keelson-tied: ${state}`);
    expect(calls).toHaveLength(1);
    await step();
    expect(ran).toHaveLength(1);
  });

  it('knows of the other copy only that it did not run here', async () => {
    const { send, ask, ran, step } = scene();
    await send({ headers: mark(1) });
    expect(await ask('withdraw', 2)).toBe('200 duplicate');
    await step();
    expect(ran).toHaveLength(1);
  });

  it('has a copy that claims wait for leave, under the path that it is meant for', async () => {
    const { send, ask, step, ran } = scene();
    const copy = await send(claim('/users?n=1'));
    expect(await ask('grant', 2, 'claim')).toBe('404 unknown');
    await step();
    expect(copy.written()).toBe('HTTP/1.1 102 Processing\r\n\r\n');
    expect(ran).toEqual([]);
    expect(await ask('grant', 2, 'claim')).toBe('200 granted');
    expect(ran).toEqual(['/users?n=1']);
    expect([await ask('grant', 2, 'claim'), await ask('withdraw', 2, 'claim')]).toEqual([
      '200 started',
      '200 started',
    ]);
    expect(ran).toHaveLength(1);
  });

  it('ends the wait for leave after a second, for good', async () => {
    const { send, ask, step, ran, clock } = scene();
    const copy = await send(claim());
    await step();
    await clock.advance(990);
    expect(copy.written()).not.toContain('499');
    await clock.advance(20);
    expect(copy.written()).toContain('x-keelson-tied: expired');
    expect(await ask('grant', 2, 'claim')).toBe('200 expired');
    expect(ran).toEqual([]);
  });

  it('lets a copy go whose client leaves while it waits', async () => {
    const { send, ask, step, ran, clock } = scene();
    const copy = await send(claim());
    await step();
    copy.disconnect();
    copy.res.emit('close');
    await clock.advance(1);
    await ask('grant', 2, 'claim');
    expect(ran).toEqual([]);
  });

  it('takes a copy back while it waits for leave, and before', async () => {
    const { send, ask, step, ran } = scene();
    await send(claim());
    await step();
    expect(await ask('withdraw', 2, 'claim')).toBe('200 withdrawn');
    await send(claim('/x', other));
    expect(await ask('withdraw', 2, 'claim', other)).toBe('200 withdrawn');
    await step();
    expect(await ask('grant', 2, 'claim', other)).toBe('200 withdrawn');
    expect(ran).toEqual([]);
  });

  it('tells once when a queue knows before that the call is the next; it may still be taken back', async () => {
    const { send, ask, step, ran, calls } = scene();
    const [copy, kept] = [await send({ headers: mark() }), await send({ headers: mark(1, 'free', other) })];
    for (const call of calls) noticeNext(call);
    expect(copy.written()).toBe('HTTP/1.1 102 Processing\r\n\r\n');
    expect(await ask('withdraw')).toBe('200 withdrawn');
    await step();
    await step();
    expect(kept.written()).toMatch(/^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 200 OK/);
    expect(ran).toHaveLength(1);
  });

  it('lets a copy start before its turn has come: then it does not wait', async () => {
    const { send, ask, step, ran, calls } = scene();
    await send(claim());
    noticeNext(calls[0] as Call);
    expect(await ask('grant', 2, 'claim')).toBe('200 granted');
    expect([await ask('grant', 2, 'claim'), await ask('withdraw', 2, 'claim')]).toEqual([
      '200 started',
      '200 started',
    ]);
    expect(ran).toEqual([]);
    await step();
    expect(ran).toEqual(['/x']);
  });

  it.each<[string, FakeRequest]>([
    ['no id', { headers: { 'x-keelson-tied': 'copy=1; mode=free' } }],
    ['a long one', { headers: mark(1, 'free', id.repeat(1000)) }],
    ['other characters', { headers: mark(1, 'free', '__proto__') }],
    ['two of them', { headers: { 'x-keelson-tied': [mark()['x-keelson-tied'], mark()['x-keelson-tied']] } }],
  ])('takes a request that is marked badly for one that is not marked: %s', async (_name, request) => {
    const { send, step } = scene();
    const exchange = await send(request);
    await step();
    expect(exchange.written()).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  it('does not hear peers that it does not trust', async () => {
    const { send, step, ran } = scene({ trust: false });
    const copy = await send({ headers: mark() });
    await step();
    expect(copy.written()).toMatch(/^HTTP\/1\.1 200 OK/);
    for (const request of [claim(), { method: 'POST', url: '/.well-known/keelson/tied', headers: mark() }]) {
      await send(request);
      await step();
    }
    // To the handler they are paths like any other.
    expect(ran).toEqual(['/', '/.well-known/keelson/tied/claim/x', '/.well-known/keelson/tied']);
  });

  it('knows nothing of all this unless it is asked for', async () => {
    const { send, step, ran } = scene({ tied: false });
    const copy = await send({ headers: mark() });
    await step();
    await send({ headers: mark() });
    await step();
    expect(copy.written()).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(ran).toHaveLength(2);
  });

  it.each([
    ['no copy', {}],
    ['one that never came', { ...mark(), 'x-keelson-tied-ask': 'withdraw' }],
    ['no question', mark()],
    ['a question that is none', { ...mark(), 'x-keelson-tied-ask': 'start' }],
  ])('answers questions that it cannot: %s', async (_name, headers) => {
    const { send, step, ran } = scene();
    const asked = await send({ method: 'POST', url: '/.well-known/keelson/tied', headers });
    expect(asked.res.statusCode).toBe(404);
    expect(asked.written()).toContain('x-keelson-tied: unknown');
    await step();
    expect(ran).toEqual([]);
  });

  it('keeps nothing of questions, and of copies the latest', async () => {
    const { send, ask, clock } = scene();
    for (let n = 0; n < 1000; n++)
      await ask('withdraw', 1, 'free', `${String(n).padStart(8, '0')}${id.slice(8)}`);
    const first = await send({ headers: mark() });
    expect(first.written()).toBe('');
    await clock.advance(31_000);
    await send({ headers: mark(1, 'free', other) });
    expect(await ask('withdraw')).toBe('404 unknown');
    expect(await ask('withdraw', 1, 'free', other)).toBe('200 withdrawn');
  });

  it.each(['was answered', 'was taken back', 'lost its client'])(
    'keeps nothing of the request of a copy that %s',
    async (end) => {
      const { send, ask, step, calls } = scene();
      const of = async (): Promise<WeakRef<object>[]> => {
        const { req, res } = await send({ headers: mark() });
        if (end === 'was taken back') await ask('withdraw');
        if (end === 'lost its client') res.emit('close');
        await step();
        calls.length = 0;
        return [new WeakRef(req), new WeakRef(res)];
      };
      const gone = await of();
      await vi.waitFor(() => {
        collect();
        expect(gone.map((ref) => ref.deref() === undefined)).toEqual([true, true]);
      });
      // The copy itself is still known.
      expect(await ask('withdraw')).toMatch(/^200 /);
    },
  );

  it('does not say of a copy that it never will run when something before its handler has answered it', async () => {
    const { send, ask, ran } = scene({}, (exchange) => {
      exchange.res.end('cached');
      return Promise.resolve(exchange);
    });
    expect((await send({ headers: mark() })).written()).toContain('cached');
    expect(await ask('withdraw')).toBe('200 started');
    expect(ran).toEqual([]);
  });

  it('tells nothing to HTTP/1.0', async () => {
    const { send, step } = scene();
    const copy = await send({ headers: mark(1, 'free', other) });
    copy.req.httpVersion = '1.0';
    await step();
    expect(copy.written()).not.toContain('102');
  });
});
