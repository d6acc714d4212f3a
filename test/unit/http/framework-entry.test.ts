import { EventEmitter } from 'node:events';
import { type Call, currentCall, derive, nameOperation, refusal, runWithCall } from 'keelson/core';
import { exchangeProtocol, type FrameworkChain, frameworkEntry, servedCall, toFetch } from 'keelson/http';
import { describe, expect, it, vi } from 'vitest';
import { fakeListener } from '../../doubles/fake-listener.js';
import { fakeExchange } from './fake-exchange.js';

const mine = new RangeError('mine');
const rest = async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** One request on its way through an entry. */
function entered(chain: Partial<FrameworkChain> = {}, error?: Error, use: readonly unknown[] = []) {
  const fake = fakeListener(error);
  const enter = frameworkEntry((handler, route) => fake.listener(handler, { routes: route }), { use });
  const exchange = fakeExchange();
  const proceed = vi.fn(chain.proceed ?? (() => undefined));
  const answered = vi.fn();
  const template = vi.fn(chain.template ?? (() => undefined));
  const go = () => enter(exchange.req, exchange.res, { proceed, template, answered });
  return { ...fake, ...exchange, proceed, answered, template, go };
}

describe('a request that is let in', () => {
  it('goes on in its framework as the current call', () => {
    let current: Call | undefined;
    const { go, proceed, calls, req, answered } = entered({
      proceed: () => {
        current = currentCall();
      },
    });
    go();
    expect(proceed).toHaveBeenCalledOnce();
    expect(current).toBe(calls[0]);
    expect(servedCall(req)?.call).toBe(current);
    expect(answered).not.toHaveBeenCalled();
  });

  it('is called by its route, as soon as the framework knows it, until somebody names it', () => {
    let route: string | undefined;
    const { go, calls } = entered({ template: () => route });
    go();
    const [call] = calls as [Call];
    expect(call.operation).toBe('GET');
    route = '/users/*';
    expect(call.operation).toBe('GET /users/*');
    route = '/users/:id';
    expect(call.operation).toBe('GET /users/:id');
    nameOperation(call, 'GET /mine');
    expect(call.operation).toBe('GET /mine');
    route = '/other';
    expect(call.operation).toBe('GET /mine');
  });

  it('passes when it comes a second time', () => {
    const { go, proceed, calls } = entered();
    go();
    go();
    expect(proceed).toHaveBeenCalledTimes(2);
    expect(calls).toHaveLength(1);
  });

  it('passes a second time where it has passed what the user put there', () => {
    const { go, proceed, answered } = entered({}, undefined, [(next: unknown) => next]);
    go();
    go();
    expect(proceed).toHaveBeenCalledTimes(2);
    expect(answered).not.toHaveBeenCalled();
  });

  it('by somebody else does not pass what the user put there', async () => {
    const { go, req, res, proceed } = entered();
    go();
    const inner = fakeListener();
    const enter = frameworkEntry((handler) => inner.listener(handler), { use: [(next: unknown) => next] });
    const chain = { proceed: vi.fn(), answered: vi.fn(), template: () => undefined };
    enter(req, res, chain);
    await rest();
    expect([proceed.mock.calls.length, chain.proceed.mock.calls.length]).toEqual([1, 0]);
    expect([res.statusCode, res.writableEnded, chain.answered.mock.calls.length]).toEqual([500, true, 1]);
  });

  it('is told of as a fault when it does not pass', async () => {
    const { go, req, res, told } = entered();
    go();
    const enter = frameworkEntry((handler) => fakeListener().listener(handler), { use: [() => undefined] });
    enter(req, res, { proceed: () => undefined, template: () => undefined });
    await rest();
    expect(told).toMatchObject([{ name: 'TypeError', message: expect.stringContaining('governed already') }]);
  });

  it('is over when it is let in, if its connection is upgraded', async () => {
    const { go, req, res, proceed, calls, outcomes, answered } = entered();
    Object.assign(req, { upgrade: true });
    go();
    await rest();
    expect([proceed.mock.calls.length, calls.length, outcomes]).toEqual([1, 1, ['ignored']]);
    expect([res.headersSent, answered.mock.calls]).toEqual([false, []]);
    expect(exchangeProtocol.onEnd?.({ req, res }, () => undefined)).toBe(false);
  });

  it('leaves its deadline behind when its connection is upgraded', async () => {
    const { go, req, calls } = entered();
    Object.assign(req, { upgrade: true });
    go();
    const deadlines: number[] = [];
    const users = toFetch(
      async (_, call) => {
        deadlines.push(call.deadline);
        return new Response();
      },
      { service: 'users' },
    );
    await runWithCall(derive(calls[0] as Call, { deadline: 5 }), () => users('/'));
    expect(deadlines).toEqual([Number.POSITIVE_INFINITY]);
  });
});

describe('a request that is not let in', () => {
  it('never reaches its framework, which is told at the end', async () => {
    const { go, proceed, answered, written } = entered({}, refusal('OVERLOADED', 'no', { side: 'server' }));
    go();
    expect(answered).not.toHaveBeenCalled();
    await rest();
    expect(proceed).not.toHaveBeenCalled();
    expect(answered).toHaveBeenCalledOnce();
    expect(written()).toMatch(/^HTTP\/1\.1 503 [\s\S]*x-keelson-shed: OVERLOADED/);
  });

  it('is answered and its connection ended, if that was to be upgraded', async () => {
    const { go, req, res, proceed, written } = entered(
      {},
      refusal('UNAUTHENTICATED', 'no', { side: 'server' }),
    );
    Object.assign(req, { upgrade: true });
    const { socket } = res;
    go();
    await rest();
    expect(proceed).not.toHaveBeenCalled();
    expect(written()).toMatch(/^HTTP\/1\.1 401 [\s\S]*connection: close/i);
    expect(socket?.destroyed).toBe(true);
  });

  it('nor when its client has gone before', async () => {
    const { go, disconnect, res, proceed, answered, calls } = entered();
    disconnect();
    res.destroy();
    await rest();
    go();
    expect([proceed.mock.calls, calls]).toEqual([[], []]);
    expect(answered).toHaveBeenCalledOnce();
  });
});

describe('an error that the framework answers', () => {
  it.each([
    [500, [mine]],
    [503, [mine]],
    [499, []],
    [200, []],
  ])('with %i is told: %o', async (status, expected) => {
    const { go, req, res, told } = entered();
    go();
    servedCall(req)?.note(mine);
    expect(told).toEqual([]);
    res.writeHead(status).end();
    await rest();
    expect(told).toEqual(expected);
  });

  it('not at all is told', async () => {
    const { go, req, res, told, disconnect } = entered();
    go();
    servedCall(req)?.note(mine);
    disconnect();
    res.destroy();
    res.emit('close');
    await rest();
    expect(told).toEqual([mine]);
  });

  it('after its answer has begun is told at once', () => {
    const { go, req, res, told } = entered();
    go();
    res.write('half');
    servedCall(req)?.note(mine);
    expect(told).toEqual([mine]);
  });
});

describe('a head that is written with its headers', () => {
  it.each([
    ['an object', { 'X-Keelson-Shed': 'OVERLOADED' }, 'ignored'],
    ['a list', ['x-keelson-shed', 'OVERLOADED'], 'ignored'],
    ['others', { 'x-other': '1' }, 'failure'],
    ['none', undefined, 'failure'],
  ])('%s: a refusal is told from a failure', async (_, headers, outcome) => {
    const { go, res, outcomes } = entered();
    go();
    res.writeHead(503, headers as never).end();
    await rest();
    expect(outcomes).toEqual([outcome]);
  });
});

it('listeners to a body run as the call that it came with', () => {
  const seen: (Call | undefined)[] = [];
  const fake = fakeListener();
  const enter = frameworkEntry((handler) => fake.listener(handler));
  for (const headers of [{ 'content-length': '3' }, { 'transfer-encoding': 'chunked' }, {}]) {
    const { req, res } = fakeExchange({ method: 'POST', headers });
    enter(req, res, {
      proceed: () => void req.on('data', () => seen.push(currentCall())),
      template: () => undefined,
    });
    // As Node's parser does, which knows nothing of the call.
    EventEmitter.prototype.emit.call(new EventEmitter(), 'turn');
    req.emit('data', 'abc');
  }
  // Without a body there is nothing to listen to.
  expect(seen).toEqual([fake.calls[0], fake.calls[1], undefined]);
});
