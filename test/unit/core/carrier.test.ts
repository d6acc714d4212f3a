import { carrier } from 'keelson/core';
import { describe, expect, it } from 'vitest';

describe('carrier', () => {
  it('has names without case, lower in keys', () => {
    const headers = carrier({ 'X-Request-Id': '7' });
    headers.set('TraceParent', '00');
    expect([headers.get('x-request-id'), headers.get('X-REQUEST-ID'), headers.get('traceparent')]).toEqual([
      '7',
      '7',
      '00',
    ]);
    expect([...headers.keys()]).toEqual(['x-request-id', 'traceparent']);
  });

  it('replaces what is set again', () => {
    const headers = carrier({ a: '1' });
    headers.set('A', '2');
    expect(headers.get('a')).toBe('2');
    expect([...headers.keys()]).toEqual(['a']);
  });

  it('knows the difference between empty and absent', () => {
    const headers = carrier({ a: '' });
    expect([headers.get('a'), headers.get('b')]).toEqual(['', undefined]);
  });

  it('copies what it is given', () => {
    const given = { a: '1' };
    const headers = carrier(given);
    headers.set('a', '2');
    given.a = '3';
    expect(headers.get('a')).toBe('2');
  });

  it.each(['__proto__', 'constructor', 'tostring', 'hasownproperty'])(
    '%s is a header as any other',
    (name) => {
      const headers = carrier();
      expect(headers.get(name)).toBeUndefined();
      headers.set(name, 'v');
      expect(headers.get(name)).toBe('v');
      expect([...headers.keys()]).toEqual([name]);
      expect(headers.fork?.().get(name)).toBe('v');
      expect(({} as Record<string, unknown>)['v']).toBeUndefined();
    },
  );

  it('forks into two that do not see each other', () => {
    const headers = carrier({ a: '1' });
    const copy = headers.fork?.();
    copy?.set('b', '2');
    headers.set('c', '3');
    expect([...(copy?.keys() ?? [])]).toEqual(['a', 'b']);
    expect([...headers.keys()]).toEqual(['a', 'c']);
  });
});
