import { allOf, type Gate, keyed } from 'keelson/core';
import { bbr, concurrency, gradient, rate } from 'keelson/limiter';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { countsRatesOnly } from '../../../src/core/gate.js';
import { recorder } from './recorder.js';

describe('allOf', () => {
  it('of none lets everything pass', () => {
    const gate = allOf([]);
    for (let i = 0; i < 3; i++) {
      const permit = gate.tryAcquire(0);
      permit?.observe('success', 0);
      permit?.release('failure', 0);
      expect(permit).not.toBeNull();
    }
  });

  it('bears the name of the first before any has refused', () => {
    expect(allOf([recorder('a', 'BREAKER_OPEN'), recorder('b', 'RATE_LIMITED')]).code).toBe('BREAKER_OPEN');
  });

  it('of one is that one', () => {
    const one = recorder('a');
    expect(allOf([one])).toBe(one);
  });

  it('asks in order, observes in order, releases the other way round', () => {
    const order: string[] = [];
    const named = (name: string) => ({
      code: 'OVERLOADED' as const,
      tryAcquire() {
        order.push(`acquire ${name}`);
        return {
          observe: () => void order.push(`observe ${name}`),
          release: () => void order.push(`release ${name}`),
        };
      },
    });
    const permit = allOf(['a', 'b', 'c'].map(named)).tryAcquire(0);
    permit?.observe('success', 1);
    permit?.release('success', 2);
    expect(order).toEqual([
      ...['acquire a', 'acquire b', 'acquire c'],
      ...['observe a', 'observe b', 'observe c'],
      ...['release c', 'release b', 'release a'],
    ]);
  });

  it('hands on outcome, time and feedback', () => {
    const [a, b] = [recorder('a'), recorder('b')];
    const permit = allOf([a, b]).tryAcquire(5);
    permit?.observe('success', 6, { timedOut: false });
    permit?.release('failure', 7, { retryAfterMs: 9 });
    const expected = [
      'acquire@5',
      'observe success@6 {"timedOut":false}',
      'release failure@7 {"retryAfterMs":9}',
    ];
    expect(a.log).toEqual(expected);
    expect(b.log).toEqual(expected);
  });

  it('undoes what it has when one refuses, and bears the name of that one', () => {
    const [a, b, c] = [recorder('a'), recorder('b', 'BREAKER_OPEN', 250), recorder('c', 'RATE_LIMITED', 99)];
    b.refuse = true;
    const gate = allOf([a, b, c]);
    expect(gate.tryAcquire(3)).toBeNull();
    expect([a.log, b.log, c.log]).toEqual([['acquire@3', 'release unsent@3'], ['refuse@3'], []]);
    expect([gate.code, gate.retryAfterMs?.(3)]).toEqual(['BREAKER_OPEN', 250]);
    b.refuse = false;
    c.refuse = true;
    expect(gate.tryAcquire(4)).toBeNull();
    expect([gate.code, gate.retryAfterMs?.(4)]).toEqual(['RATE_LIMITED', 99]);
  });

  it('undoes what it has when one throws', () => {
    const [a, b, c] = [recorder('a'), recorder('b'), recorder('c')];
    c.fault = 'tryAcquire';
    expect(() => allOf([a, b, c]).tryAcquire(1)).toThrow('c tryAcquire');
    expect(a.log).toEqual(['acquire@1', 'release unsent@1']);
    expect(b.log).toEqual(['acquire@1', 'release unsent@1']);
  });

  it.each([0, 1, 2, 3])('releases all even if number %d throws while it does', (bad) => {
    const all = ['a', 'b', 'c', 'd'].map((name) => recorder(name));
    const permit = allOf(all).tryAcquire(0);
    (all[bad] as (typeof all)[number]).fault = 'release';
    expect(() => permit?.release('success', 1)).toThrow('release');
    for (const { log } of all) expect(log).toEqual(['acquire@0', 'release success@1']);
  });

  it('nests', () => {
    const [a, b, c] = [recorder('a'), recorder('b', 'RATE_LIMITED'), recorder('c')];
    b.refuse = true;
    const gate = allOf([c, allOf([a, b])]);
    expect(gate.tryAcquire(0)).toBeNull();
    expect(gate.code).toBe('RATE_LIMITED');
    expect(a.log).toEqual(['acquire@0', 'release unsent@0']);
    expect(c.log).toEqual(['acquire@0', 'release unsent@0']);
  });
});

describe('what counts rates only', () => {
  const quota = () => rate({ perSecond: 1 });
  const pool = () => concurrency({ limit: 1 });
  const nobody = (): Gate => {
    throw new RangeError('no such key');
  };
  it.each<[string, Gate, boolean]>([
    ['a rate', quota(), true],
    ['a rate by keys', rate({ perSecond: 1, by: 'key' }), true],
    ['rates of keys', keyed(quota), true],
    ['all of rates, whichever way', allOf([quota(), keyed(quota), allOf([quota(), quota()])]), true],
    ['none', allOf([]), true],
    ["the user's own, by its code", recorder('a', 'RATE_LIMITED'), true],
    ["the user's own of another code", recorder('a', 'BREAKER_OPEN'), false],
    ['concurrency', pool(), false],
    ['bbr', bbr(), false],
    ['gradient', gradient(), false],
    ['limits of keys', keyed(pool), false],
    ['keys of which nobody can tell', keyed(nobody), false],
    ['rates and another, whichever is first', allOf([quota(), pool()]), false],
    ['another and rates', allOf([pool(), quota()]), false],
    ['one among many', allOf([quota(), quota(), allOf([quota(), keyed(pool)])]), false],
  ])('%s: %s %s', (_, gate, only) => {
    expect(countsRatesOnly(gate)).toBe(only);
    // And does not change its mind when it has refused.
    for (let i = 0; i < 3; i++) if (_ !== 'keys of which nobody can tell') gate.tryAcquire(0);
    expect(countsRatesOnly(gate)).toBe(only);
  });
});
