import {
  type Call,
  type CancelSource,
  cancelSource,
  createCall,
  currentCall,
  type Outcome,
} from 'keelson/core';
import { exchangeProtocol, type HttpHandler, type ServeHandlerOptions, serveHandler } from 'keelson/http';
import { manualClock } from 'keelson/testing';
import { describe, expect, it, vi } from 'vitest';
import { fakeExchange } from './fake-exchange.js';

const mine = new RangeError('mine');

function served(listener: HttpHandler, options: ServeHandlerOptions = {}) {
  const clock = manualClock();
  const cancel: CancelSource = cancelSource();
  const late: unknown[] = [];
  const exchange = fakeExchange();
  const call = createCall({ side: 'server', service: 'shop', operation: 'GET', cancel });
  const handler = serveHandler(listener, { clock, onLateError: (error) => late.push(error), ...options });
  const state: { outcome: string } = { outcome: 'pending' };
  const end = (outcome: string) => {
    state.outcome = outcome;
  };
  const running = handler(exchange, call).then(
    () => end('answered'),
    (error: unknown) => end(`failed: ${(error as Error)?.message}`),
  );
  return { ...exchange, clock, cancel, call, late, running, outcome: () => state.outcome };
}

/** Lets streams and promises come to rest. */
const rest = async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
};

describe('a call is answered', () => {
  const ways: Record<string, HttpHandler> = {
    'with end': (_req, res) => void res.end('x'),
    'with an empty end': (_req, res) => void res.end(),
    'with a first write': (_req, res) => void res.write('x'),
    'with a head': (_req, res) => void res.writeHead(200),
    'with flushed headers': (_req, res) => void res.flushHeaders(),
    'with a head, while it works on': async (_req, res) => {
      res.writeHead(200);
      await new Promise(() => undefined);
    },
    'with a head after it returned': (_req, res) => void setImmediate(() => res.writeHead(200)),
  };

  it.each(Object.entries(ways))('%s', async (_, listener) => {
    const { running, outcome } = served(listener);
    await running;
    expect(outcome()).toBe('answered');
  });

  it('not by a header that is only prepared', async () => {
    const { outcome, res } = served((_req, response) => void response.setHeader('a', 'b'));
    await rest();
    expect(outcome()).toBe('pending');
    res.end();
    await rest();
    expect(outcome()).toBe('answered');
  });

  it('not by a head that cannot be written', async () => {
    const { outcome, running } = served((_req, res) => {
      res.writeHead(200, { 'x-a': 'not\nallowed' });
    });
    await running;
    expect(outcome()).toMatch(/^failed: Invalid character in header/);
  });

  it('when the connection goes, if the listener had returned', async () => {
    const { outcome, running, disconnect } = served(() => undefined);
    disconnect();
    await running;
    expect(outcome()).toBe('answered');
  });
});

describe('a listener that works on after its connection has gone', () => {
  const hanging = (options: ServeHandlerOptions = {}) => {
    let finish: (() => void) | undefined;
    let fail: ((error: unknown) => void) | undefined;
    const run = served(
      () =>
        new Promise<void>((resolve, reject) => {
          finish = resolve;
          fail = reject;
        }),
      options,
    );
    return { ...run, finish: () => finish?.(), fail: () => fail?.(mine) };
  };

  it('is waited for', async () => {
    const { outcome, disconnect, finish, clock } = hanging();
    disconnect();
    await rest();
    await clock.advance(29_000);
    expect(outcome()).toBe('pending');
    finish();
    await rest();
    expect(outcome()).toBe('answered');
    await clock.advance(10_000);
    expect(clock.pending).toBe(0);
  });

  it('is not waited for for ever', async () => {
    const { outcome, disconnect, clock } = hanging({ abandonedMs: 500 });
    disconnect();
    await rest();
    await clock.advance(499);
    expect(outcome()).toBe('pending');
    await clock.advance(10);
    expect(outcome()).toBe('answered');
  });

  it('fails the call if it rejects', async () => {
    const { outcome, disconnect, fail, clock } = hanging();
    disconnect();
    await rest();
    fail();
    await rest();
    expect(outcome()).toBe('failed: mine');
    await clock.advance(60_000);
    expect(clock.pending).toBe(0);
  });
});

describe('what comes late', () => {
  it('a rejection after the head cuts the connection and is told', async () => {
    const { late, res, outcome, call, running } = served(async (_req, response) => {
      response.write('half');
      await Promise.resolve();
      throw mine;
    });
    await running;
    await rest();
    expect([outcome(), late, res.destroyed]).toEqual(['answered', [mine], true]);
    expect(exchangeProtocol.classify({ req: res.req, res }, undefined)).toBe('failure');
    const { handlerError } = await import('keelson/core');
    expect(call.values.get(handlerError)).toBe(mine);
  });

  it('a throw after the head is the same', async () => {
    const { late, res } = served((_req, response) => {
      response.write('half');
      throw mine;
    });
    await rest();
    expect([late, res.destroyed]).toEqual([[mine], true]);
  });

  it('a rejection after the end is told, and the answer stands', async () => {
    const { late, written, outcome } = served(async (_req, res) => {
      res.end('whole');
      throw mine;
    });
    await rest();
    expect([outcome(), late]).toEqual(['answered', [mine]]);
    expect(written()).toContain('whole');
  });

  it('a rejection of a call that was given up is told, for nobody may listen', async () => {
    const { late, cancel, outcome } = served(async (_req, _res, call) => {
      await new Promise<void>((resolve) => call.cancel.onAbort(resolve));
      throw mine;
    });
    cancel.abort(new Error('gone'));
    await rest();
    expect([outcome(), late]).toEqual(['failed: mine', [mine]]);
  });

  it('a rejection in time is not', async () => {
    const { late, outcome } = served(async () => Promise.reject(mine));
    await rest();
    expect([outcome(), late]).toEqual(['failed: mine', []]);
  });

  it('is told to a hook that may throw', async () => {
    const onLateError = vi.fn(() => {
      throw new Error('hook');
    });
    const { outcome } = served(
      async (_req, res) => {
        res.end();
        throw mine;
      },
      { onLateError },
    );
    await rest();
    expect(outcome()).toBe('answered');
    expect(onLateError).toHaveBeenCalledTimes(1);
  });

  it('a head that is written on behalf of the listener is not its answer', async () => {
    const { cancel, res, outcome } = served(() => new Promise(() => undefined));
    cancel.abort(new Error('late'));
    res.writeHead(504).end();
    await rest();
    expect(outcome()).toBe('pending');
  });
});

describe('a call that was given up before its turn', () => {
  it('does not run', async () => {
    let ran = false;
    const cancel = cancelSource();
    const gone = new Error('gone');
    cancel.abort(gone);
    const handler = serveHandler(() => {
      ran = true;
    });
    const call = createCall({ side: 'server', service: 'shop', operation: 'GET', cancel });
    await expect(handler(fakeExchange(), call)).rejects.toBe(gone);
    expect(ran).toBe(false);
  });
});

describe('the context', () => {
  const contextOf = async (options?: ServeHandlerOptions) => {
    let seen: Call | undefined;
    const { call } = served((_req, res) => {
      seen = currentCall();
      res.end();
    }, options);
    await rest();
    return seen === undefined ? 'none' : seen === call;
  };
  it('is the call', async () => expect(await contextOf()).toBe(true));
  it('is none with context: false', async () => expect(await contextOf({ context: false })).toBe('none'));
});

describe('an exchange', () => {
  const outcomeOf = (status: number, headers: Record<string, string> = {}): Outcome => {
    const exchange = fakeExchange();
    for (const [name, value] of Object.entries(headers)) exchange.res.setHeader(name, value);
    exchange.res.writeHead(status);
    return exchangeProtocol.classify(exchange, undefined);
  };

  it.each([
    [200, {}, 'success'],
    [404, {}, 'success'],
    [500, {}, 'failure'],
    [503, {}, 'failure'],
    [429, {}, 'ignored'],
    [503, { 'x-keelson-shed': 'OVERLOADED' }, 'ignored'],
  ] as const)('with %i %o is %s', (status, headers, outcome) => {
    expect(outcomeOf(status, headers)).toBe(outcome);
  });

  it('that failed without a response is a failure', () => {
    expect(exchangeProtocol.classify(undefined, mine)).toBe('failure');
  });

  it('ends with its response', async () => {
    const ends: Outcome[] = [];
    const exchange = fakeExchange();
    expect(exchangeProtocol.onEnd?.(exchange, (outcome) => ends.push(outcome))).toBe(true);
    exchange.res.end('x');
    await rest();
    expect(ends).toEqual(['success']);
    expect(exchangeProtocol.onEnd?.(exchange, () => undefined)).toBe(false);
  });

  it('whose client goes away before the end says nothing', async () => {
    const ends: Outcome[] = [];
    const exchange = fakeExchange();
    exchangeProtocol.onEnd?.(exchange, (outcome) => ends.push(outcome));
    exchange.res.write('x');
    exchange.disconnect();
    await rest();
    expect(ends).toEqual(['ignored']);
    expect(exchangeProtocol.classify(exchange, undefined)).toBe('ignored');
  });
});

describe('options', () => {
  it.each([
    [{ abandonedMs: -1 }, 'serveHandler.abandonedMs must be a number >= 0'],
    [{ abandoned: 1 }, 'serveHandler.abandoned is not an option'],
    [{ context: 'no' }, 'serveHandler.context must be a boolean'],
    [{ onLateError: 1 }, 'serveHandler.onLateError must be a function'],
  ])('%o', (options, message) => {
    expect(() => serveHandler(() => undefined, options as ServeHandlerOptions)).toThrow(message);
  });
});
