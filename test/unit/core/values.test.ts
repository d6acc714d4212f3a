import { callKey, callValues } from 'keelson/core';
import { describe, expect, it } from 'vitest';

describe('callValues', () => {
  it('keeps what was set, by key', () => {
    const values = callValues();
    const [name, age] = [callKey<string>('test.name'), callKey<number>('test.age')];
    expect(values.get(name)).toBeUndefined();
    values.set(name, 'ada');
    values.set(age, 0);
    expect([values.get(name), values.get(age)]).toEqual(['ada', 0]);
    values.set(name, 'eve');
    expect(values.get(name)).toBe('eve');
  });

  it('takes two keys of one name for the same, as two copies of the package have to', () => {
    const values = callValues();
    values.set(callKey<string>('test.twice'), 'x');
    expect(values.get(callKey<string>('test.twice'))).toBe('x');
    expect(callKey('test.twice').symbol).toBe(Symbol.for('keelson.key.test.twice'));
  });

  it('shares nothing with others', () => {
    const key = callKey<string>('test.own');
    callValues().set(key, 'x');
    expect(callValues().get(key)).toBeUndefined();
  });
});
