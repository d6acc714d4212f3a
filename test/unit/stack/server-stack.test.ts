import {
  carrier,
  createCall,
  derive,
  type Gate,
  type Handler,
  type Middleware,
  refusal,
  trustedPeer,
} from 'keelson/core';
import { concurrency, dispatchQueue } from 'keelson/limiter';
import { type ServerStackOptions, serverStack } from 'keelson/stack';
import { manualClock, scriptedHandler } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { protocol, type Reply } from './stack-scene.js';

/** Answers a rejection with its code. */
const recover: Middleware<string, Reply> = (next) => (request, call) =>
  next(request, call).then(undefined, (error: unknown) => ({
    status: 500,
    from: (error as { code?: string }).code ?? String(error),
  }));

function server(handler: Handler<string, Reply>, options: Partial<ServerStackOptions<string, Reply>> = {}) {
  const clock = manualClock(1000);
  const stack = serverStack<string, Reply>({ protocol, recover, clock, ...options }, handler);
  const ask = (headers: Record<string, string> = {}, trusted = true): Promise<string> => {
    const call = createCall({ side: 'server', service: 'shop', operation: 'GET', headers: carrier(headers) });
    if (trusted) call.values.set(trustedPeer, true);
    return stack('hi', call).then(({ from }) => from);
  };
  return { clock, ask };
}

const good: Handler<string, Reply> = async () => ({ status: 200, from: 'handler' });

describe('the order of a server', () => {
  it('is: recover, deadline, limits, user, handler', async () => {
    const log: string[] = [];
    const note =
      (name: string): Middleware<string, Reply> =>
      (next) =>
      (request, call) => {
        log.push(`${name} ${call.deadline}`);
        return next(request, call);
      };
    const gate: Gate = {
      code: 'OVERLOADED',
      tryAcquire: (_now, ask) => {
        log.push(`gate ${(ask as { deadline?: number }).deadline}`);
        return { observe: () => undefined, release: (outcome) => void log.push(outcome) };
      },
    };
    const { ask } = server(good, {
      recover: (next) => note('recover')(recover(next)),
      limits: [gate],
      use: [note('user')],
      timeoutMs: 500,
    });
    expect(await ask()).toBe('handler');
    expect(log).toEqual(['recover Infinity', 'gate 1500', 'user 1500', 'success']);
  });

  it('has its queue between limits and the user: it knows the deadline, and holds the place', async () => {
    const turns: (() => void)[] = [];
    const clock = manualClock(1000);
    const limit = concurrency({ limit: 5 });
    const log: string[] = [];
    const queue = dispatchQueue({ clock, turn: (run) => void turns.push(run), events: () => Number.NaN });
    const { ask } = server(
      async (_request, call) => {
        log.push(`ran ${call.deadline}`);
        clock.advanceSync(3);
        return { status: 200, from: 'handler' };
      },
      {
        clock,
        limits: [limit],
        queue,
        timeoutMs: 500,
        use: [
          (next) => (request, call) => {
            log.push('user');
            return next(request, call);
          },
        ],
      },
    );
    const [first, second] = [ask(), ask()];
    expect(log).toEqual(['user', 'ran 1500']);
    expect(limit.snapshot(0).inflight).toBe(2);
    expect(queue.snapshot(clock.now()).queued).toBe(1);
    for (const run of turns.splice(0)) run();
    expect(await Promise.all([first, second])).toEqual(['handler', 'handler']);
    expect(log).toEqual(['user', 'ran 1500', 'user', 'ran 1503']);
    expect([limit.snapshot(0).inflight, queue.snapshot(clock.now()).queued]).toEqual([0, 0]);
  });

  it('ends at its deadline a call that waits in the queue', async () => {
    const clock = manualClock(1000);
    const queue = dispatchQueue({ clock, turn: () => undefined, events: () => Number.NaN });
    let ran = 0;
    const { ask } = server(
      async () => {
        ran++;
        clock.advanceSync(3);
        return { status: 200, from: 'handler' };
      },
      { clock, queue, timeoutMs: 100 },
    );
    const [first, second] = [ask(), ask()];
    expect(await first).toBe('handler');
    await clock.advance(120);
    expect(await second).toBe('DEADLINE_EXCEEDED');
    expect([ran, queue.snapshot(clock.now()).queued]).toEqual([1, 0]);
  });

  it('makes its queue by options', async () => {
    const { ask } = server(good, { queue: { budgetMs: 5 } });
    expect(await ask()).toBe('handler');
    expect(await server(good, { queue: false }).ask()).toBe('handler');
  });

  it('gives a call whose time is over no place', async () => {
    const gate = concurrency({ limit: 1 });
    let ran = 0;
    const { ask } = server(
      async () => {
        ran++;
        return { status: 200, from: 'handler' };
      },
      { limits: [gate] },
    );
    expect(await ask({ 'x-keelson-timeout-ms': '0' })).toBe('DEADLINE_EXCEEDED');
    expect([ran, gate.snapshot(0).inflight]).toEqual([0, 0]);
  });

  it('catches what every part throws', async () => {
    const throwing = () => {
      throw new Error('mine');
    };
    expect(await server(throwing).ask()).toBe('Error: mine');
    expect(await server(good, { use: [() => throwing] }).ask()).toBe('Error: mine');
    expect(await server(good, { limits: [{ code: 'OVERLOADED', tryAcquire: throwing }] }).ask()).toBe(
      'Error: mine',
    );
    expect(await server(good, { timeoutMs: throwing }).ask()).toBe('Error: mine');
  });

  it('answers its own refusals like any other error', async () => {
    const full: Gate = { code: 'RATE_LIMITED', tryAcquire: () => null };
    expect(await server(good, { limits: [full] }).ask()).toBe('RATE_LIMITED');
    const refusing = () => Promise.reject(refusal('BREAKER_OPEN', 'x', { side: 'client' }));
    expect(await server(refusing).ask()).toBe('BREAKER_OPEN');
  });
});

describe('deadlines', () => {
  it.each([
    ['500', true, Number.POSITIVE_INFINITY, 500],
    ['500', true, 200, 200],
    ['200', true, 500, 200],
    ['200', false, 500, 500],
    ['nonsense', true, 500, 500],
  ])('said %s, trusted %s, own %s: %s ms', async (said, trusted, timeoutMs, expected) => {
    let deadline = 0;
    const { ask } = server(
      async (_request, call) => {
        deadline = call.deadline;
        return { status: 200, from: 'handler' };
      },
      { timeoutMs },
    );
    await ask({ 'x-keelson-timeout-ms': said }, trusted);
    expect(deadline).toBe(1000 + expected);
  });

  it('end a handler that hangs, and cancel it', async () => {
    const clock = manualClock(1000);
    const hanging = scriptedHandler<string, Reply>({ script: [{ deaf: true }], clock });
    const { ask } = server(hanging.handler, { timeoutMs: 100, clock });
    const asked = ask();
    await clock.advance(110);
    expect(await asked).toBe('DEADLINE_EXCEEDED');
    expect(hanging.calls[0]?.call.cancel.aborted).toBe(true);
  });

  it('of a call that has one stay', async () => {
    let deadline = 0;
    const stack = serverStack<string, Reply>(
      { protocol, recover, clock: manualClock(1000) },
      async (_r, call) => {
        deadline = call.deadline;
        return { status: 200, from: 'handler' };
      },
    );
    const call = createCall({ side: 'server', service: 'shop', operation: 'GET' });
    await stack('hi', derive(call, { deadline: 1700 }));
    expect(deadline).toBe(1700);
  });
});

describe('options', () => {
  const make = (options: object) => () =>
    serverStack<string, Reply>({ protocol, recover, ...options } as never, good);

  it.each([
    [{ timeout: 1 }, 'serverStack.timeout is not an option'],
    [{ timeoutMs: 0 }, 'timeoutMs must be a number > 0'],
    [{ protocol: {} }, 'serverStack.protocol'],
    [{ recover: undefined }, 'serverStack.recover must be a middleware'],
    [{ limits: [{}] }, 'serverStack.limits[0] must be a gate'],
    [{ use: 'x' }, 'serverStack.use must be an array'],
    [{ queue: true }, 'serverStack.queue must be options, a dispatchQueue() or false, got true'],
    [{ queue: [] }, 'serverStack.queue must be options, a dispatchQueue() or false, got an array'],
    [{ queue: { budgetMs: 0 } }, 'serverStack.queue.budgetMs must be a number > 0'],
    [{ tracing: 1 }, 'serverStack.tracing must be a boolean'],
  ])('%o: %s', (options, message) => {
    expect(make(options)).toThrow(message);
  });
});
