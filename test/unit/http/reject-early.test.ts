import { type EarlyRefuser, isEarlyRefuser } from 'keelson/core';
import { type RejectEarly, toListener } from 'keelson/http';
import { bbr, concurrency, rate } from 'keelson/limiter';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { type FakeExchange, fakeExchange } from './fake-exchange.js';

interface Asked extends EarlyRefuser {
  waits: number;
}

const refuser = (given: Partial<EarlyRefuser> = {}): Asked => ({
  code: 'OVERLOADED',
  refusing: true,
  refuseEarly: () => true,
  waits: 0,
  retryAfterMs() {
    return 100 * ++this.waits;
  },
  ...given,
});

interface Given extends Partial<Omit<RejectEarly, 'clock'>> {
  readonly clock?: ReturnType<typeof manualClock>;
}

/** A listener whose calls are answered with 200. */
function listening({ clock = manualClock(), ...early }: Given = {}) {
  const listener = toListener(
    (exchange) => {
      exchange.res.end('let in');
      return Promise.resolve(exchange);
    },
    { service: 'shop', early: { refuser: refuser(), clock, ...early } },
  );
  return (prepare?: (exchange: FakeExchange) => void, remoteAddress = '127.0.0.1'): string => {
    const exchange = fakeExchange({ remoteAddress });
    exchange.req.rawHeaders = ['Host', 'a'];
    prepare?.(exchange);
    listener(exchange.req, exchange.res);
    return exchange.written();
  };
}

describe('refused before it is a call', () => {
  it('is answered at once, as other refusals are', () => {
    const answer = listening()();
    expect(answer).toMatch(/^HTTP\/1.1 503 Service Unavailable\r\n/);
    for (const line of [
      'content-type: text/plain; charset=utf-8',
      'content-length: 11',
      'x-keelson-shed: OVERLOADED',
      'retry-after-ms: 100',
      'retry-after: 1',
    ])
      expect(answer).toContain(`\r\n${line}\r\n`);
    expect(answer).toMatch(/\r\n\r\nOVERLOADED\n$/);
  });

  it.each<[string, (exchange: FakeExchange) => void]>([
    ['nothing is refused just now', () => undefined],
    ['headers were prepared by somebody', ({ res }) => void res.setHeader('x-frame-options', 'DENY')],
    ['there is no host', ({ req }) => void Object.assign(req, { rawHeaders: [] })],
    ['there is an expectation', ({ req }) => void req.rawHeaders.push('Expect', '100-continue')],
    ['the length of the body is not known', ({ req }) => void req.rawHeaders.push('TRANSFER-encoding', 'x')],
    ['the body is long', ({ req }) => void req.rawHeaders.push('content-length', '65537')],
    ['the length of the body is no number', ({ req }) => void req.rawHeaders.push('content-length', 'long')],
    [
      'there are very many headers',
      ({ req }) => void Object.assign(req, { rawHeaders: Array(202).fill('a') }),
    ],
    ['it asks for another protocol', ({ req }) => void Object.assign(req, { upgrade: true })],
    ['it is older than HTTP/1.1', ({ req }) => void Object.assign(req, { httpVersionMinor: 0 })],
  ])('not when %s', (what, prepare) => {
    const refusing = what !== 'nothing is refused just now';
    expect(listening({ refuser: refuser({ refusing }) })(prepare)).toMatch(/let in$/);
  });

  it.each([
    ['of no length', '0'],
    ['that is small', '65536'],
  ])('with a body %s too', (_, length) => {
    expect(listening()(({ req }) => void req.rawHeaders.push('Content-Length', length))).toContain(' 503 ');
  });

  it('not when whoever refuses cannot say', () => {
    const throws = () => {
      throw new Error('broken');
    };
    expect(listening({ refuser: refuser({ refuseEarly: throws }) })()).toMatch(/let in$/);
  });

  it('is not harmed by who is told of it', () => {
    const told: string[] = [];
    const onReject = (code: string): void => {
      told.push(code);
      throw new Error('mine');
    };
    expect(listening({ onReject })()).toContain(' 503 ');
    expect(told).toEqual(['OVERLOADED']);
  });

  it('does not happen to what its response has no part in any more', () => {
    expect(listening()(({ res }) => void Object.assign(res, { destroyed: true }))).toBe('');
  });
});

describe('the answer', () => {
  it('is made anew after 100 ms, and when the clock was set back', () => {
    const clock = manualClock();
    const ask = listening({ clock });
    const waits = (): string | undefined => /retry-after-ms: (\d+)/.exec(ask())?.[1];
    expect([waits(), waits()]).toEqual(['100', '100']);
    clock.advanceSync(99);
    expect(waits()).toBe('100');
    clock.advanceSync(1);
    expect([waits(), waits()]).toEqual(['200', '200']);
    clock.advanceSync(-50);
    expect([waits(), waits()]).toEqual(['300', '300']);
  });

  it('tells peers that are trusted what it does not tell others', () => {
    const ask = listening({ headers: (trusted) => (trusted ? { 'x-load': 'high' } : {}) });
    expect(ask()).toContain('\r\nx-load: high\r\n');
    expect(ask(undefined, '8.8.8.8')).not.toContain('x-load');
    expect(ask()).toContain('\r\nx-load: high\r\n');
  });

  it.each<[string, () => Record<string, string>]>([
    ['break the line', () => ({ 'x-load': 'high\r\nset-cookie: a=b' })],
    ['have no name', () => ({ '': 'high' })],
    [
      'cannot be told',
      () => {
        throw new Error('broken');
      },
    ],
  ])('leaves out headers that %s', (_, headers) => {
    const answer = listening({ headers })();
    expect(answer).toContain('x-keelson-shed: OVERLOADED');
    expect(answer).not.toMatch(/x-load|set-cookie/);
  });
});

describe('limits that can tell', () => {
  it.each([
    ['bbr', bbr(), true],
    ['concurrency', concurrency({ limit: 1 }), true],
    ['rate', rate({ perSecond: 1 }), false],
  ])('%s', (_, limit, can) => {
    expect(isEarlyRefuser(limit)).toBe(can);
  });

  it.each([null, undefined, 1, 'refuser', {}])('%s is none', (thing) => {
    expect(isEarlyRefuser(thing)).toBe(false);
  });

  it('bbr says the same early and in order, and counts what it refuses', () => {
    const transitions: boolean[] = [];
    const limit = bbr({ load: () => 1, minLimit: 1, onTransition: (shedding) => transitions.push(shedding) });
    const early = limit as typeof limit & EarlyRefuser;
    expect(early.refusing).toBe(false);
    const permit = limit.tryAcquire(0);
    expect(early.refuseEarly(1, {})).toBe(true);
    expect([early.refusing, transitions]).toEqual([true, [true]]);
    permit?.release('success', 2);
    expect(early.refuseEarly(3, {})).toBe(false);
    expect(limit.snapshot(3).inflight).toBe(0);
  });

  it('concurrency refuses early when it is full, by cost', () => {
    const limit = concurrency({ limit: 2 }) as ReturnType<typeof concurrency> & EarlyRefuser;
    const permit = limit.tryAcquire(0);
    expect([limit.refusing, limit.refuseEarly(0, { cost: 2 }), limit.refuseEarly(0, {})]).toEqual([
      false,
      true,
      false,
    ]);
    limit.tryAcquire(0);
    expect(limit.refusing).toBe(true);
    permit?.release('success', 1);
    expect(limit.refusing).toBe(false);
  });
});
