import { type Gate, type KeyedOptions, keyed, keyedDefaults } from 'keelson/core';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { type Recorder, recorder } from './recorder.js';

function setUp(options?: KeyedOptions) {
  const made: string[] = [];
  const gates = new Map<string, Recorder>();
  const make = (key: string): Gate => {
    made.push(key);
    const gate = recorder(key, key === 'rate' ? 'RATE_LIMITED' : 'BREAKER_OPEN', key.length);
    gates.set(key, gate);
    return gate;
  };
  return { made, gates, gate: keyed(make, options) };
}

describe('keyed', () => {
  it('makes one gate for each operation, when it is first seen', () => {
    const { made, gates, gate } = setUp();
    for (const operation of ['a', 'b', 'a', 'a']) gate.tryAcquire(1, { operation });
    expect(made).toEqual(['a', 'b']);
    expect(gate.size).toBe(2);
    expect(gates.get('a')?.log).toHaveLength(3);
  });

  it.each<[string, KeyedOptions, string[]]>([
    ['operation', {}, ['GET', '']],
    ['operation', { by: undefined }, ['GET', '']],
    ['key', { by: 'key' }, ['acme', '']],
    ['a function', { by: (ask) => `${ask?.operation}/${ask?.key}` }, ['GET/acme', 'undefined/undefined']],
  ])('by %s', (_, options, expected) => {
    const { made, gate } = setUp(options);
    gate.tryAcquire(0, { operation: 'GET', key: 'acme' });
    gate.tryAcquire(0);
    expect(made).toEqual(expected);
  });

  it('bears the name of the gate that refused last, and asks that of the key for the time', () => {
    const { gates, gate } = setUp();
    for (const operation of ['rate', 'other']) {
      gate.tryAcquire(0, { operation });
      (gates.get(operation) as Recorder).refuse = true;
    }
    expect(gate.tryAcquire(1, { operation: 'rate' })).toBeNull();
    expect([gate.code, gate.retryAfterMs?.(1, { operation: 'rate' })]).toEqual(['RATE_LIMITED', 4]);
    expect(gate.tryAcquire(1, { operation: 'other' })).toBeNull();
    expect([gate.code, gate.retryAfterMs?.(1, { operation: 'other' })]).toEqual(['BREAKER_OPEN', 5]);
    expect(gate.retryAfterMs?.(1, { operation: 'never seen' })).toBeUndefined();
  });

  it('forgets the key that was not used for longest', () => {
    const { made, gate } = setUp({ maxKeys: 3 });
    const ask = (operation: string) => gate.tryAcquire(0, { operation });
    for (const key of ['a', 'b', 'c', 'a', 'd']) ask(key);
    expect(gate.size).toBe(3);
    for (const key of ['a', 'c', 'd']) ask(key);
    expect(made).toEqual(['a', 'b', 'c', 'd']);
    ask('b');
    expect(made).toEqual(['a', 'b', 'c', 'd', 'b']);
    ask('c');
    ask('d');
    expect(made).toHaveLength(5);
    ask('a');
    expect(made).toHaveLength(6);
  });

  it('remembers as an exact list of the last used keys does, whatever comes', () => {
    const random = seededRandom(8);
    for (const maxKeys of [1, 2, 7]) {
      const { made, gate } = setUp({ maxKeys });
      let recent: string[] = [];
      let expected = 0;
      for (let i = 0; i < 5000; i++) {
        const operation = `op${Math.floor(random() * random() * 12)}`;
        if (!recent.includes(operation)) expected++;
        recent = [operation, ...recent.filter((key) => key !== operation)].slice(0, maxKeys);
        gate.tryAcquire(i, { operation });
        expect(made).toHaveLength(expected);
        expect(gate.size).toBe(recent.length);
      }
    }
  });

  it('never holds more keys than it may', () => {
    const { gate } = setUp({ maxKeys: 10 });
    for (let i = 0; i < 10_000; i++) gate.tryAcquire(0, { operation: `/users/${i}` });
    expect(gate.size).toBe(10);
  });

  it('releases against the gate that gave the permit, forgotten or not', () => {
    const { gates, gate } = setUp({ maxKeys: 1 });
    const permit = gate.tryAcquire(0, { operation: 'a' });
    const first = gates.get('a');
    gate.tryAcquire(0, { operation: 'b' });
    gate.tryAcquire(0, { operation: 'a' });
    permit?.release('success', 1);
    expect(first?.log).toEqual(['acquire@0', 'release success@1']);
    expect(gates.get('a')?.log).toEqual(['acquire@0']);
  });

  it('takes any word for a key', () => {
    const { made, gate } = setUp();
    const words = ['__proto__', 'constructor', '', 'toString'];
    for (const operation of [...words, ...words]) gate.tryAcquire(0, { operation });
    expect(made).toEqual(words);
  });

  it('remembers nothing of a key for which no gate could be made', () => {
    let broken = true;
    const gate = keyed(() => {
      if (broken) throw new Error('no gate');
      return recorder('a');
    });
    expect(() => gate.tryAcquire(0, { operation: 'a' })).toThrow('no gate');
    expect(gate.size).toBe(0);
    broken = false;
    expect(gate.tryAcquire(0, { operation: 'a' })).not.toBeNull();
  });

  it.each([
    [{ maxKeys: 0 }, RangeError, 'keyed.maxKeys'],
    [{ maxKeys: 2.5 }, RangeError, 'keyed.maxKeys'],
    [{ maxKeys: Number.POSITIVE_INFINITY }, RangeError, 'keyed.maxKeys'],
    [{ by: 'tenant' }, RangeError, 'keyed.by must be one of "operation", "key"'],
    [{ by: 'constructor' }, RangeError, 'keyed.by'],
    [{ by: 7 }, RangeError, 'keyed.by'],
    [{ max: 7 }, TypeError, 'keyed.max is not an option'],
  ])('%o is refused', (options, kind, message) => {
    expect(() => setUp(options as KeyedOptions)).toThrow(kind);
    expect(() => setUp(options as KeyedOptions)).toThrow(message);
  });

  it('needs a function that makes gates', () => {
    expect(() => keyed(recorder('a') as never)).toThrow(TypeError);
  });

  it('has defaults that hold', () => {
    const { gate } = setUp(keyedDefaults);
    for (let i = 0; i < 1200; i++) gate.tryAcquire(0, { operation: String(i) });
    expect(gate.size).toBe(1000);
  });
});
