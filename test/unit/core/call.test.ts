import {
  type Call,
  type CallInit,
  callKey,
  cancelSource,
  carrier,
  createCall,
  derive,
  fork,
  nameOperation,
  uncancelled,
} from 'keelson/core';
import { describe, expect, it } from 'vitest';

const init: CallInit = { side: 'client', service: 'users', operation: 'GET' };

describe('createCall', () => {
  it('has defaults for all but three', () => {
    const call = createCall(init);
    expect(call).toMatchObject({
      ...init,
      deadline: Number.POSITIVE_INFINITY,
      cancel: uncancelled,
      idempotent: false,
      priority: 0,
      cost: 1,
      key: undefined,
    });
    expect([...call.headers.keys()]).toEqual([]);
    expect(call.attempt).toMatchObject({ number: 1, endpoint: undefined, reason: undefined });
  });

  it('takes all that it is given', () => {
    const given = {
      ...init,
      deadline: 5,
      cancel: cancelSource(),
      idempotent: true,
      headers: carrier({ a: '1' }),
      priority: -2,
      cost: 0,
      key: 'acme',
    };
    expect(createCall(given)).toMatchObject(given);
  });

  it('makes an id for a try when it is first read, and keeps it', () => {
    const call = createCall(init);
    expect(call.attempt.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(call.attempt.id).toBe(call.attempt.id);
    expect(createCall(init).attempt.id).not.toBe(call.attempt.id);
  });
});

describe('derive', () => {
  const headers = carrier();
  const cancel = cancelSource();
  it.each([{ deadline: 7 }, { deadline: 0 }, { priority: 9 }, { priority: 0 }, { cancel }, { headers }])(
    'changes %o and nothing else, of the same try',
    (change) => {
      const call = createCall({ ...init, deadline: 3, priority: 1, cost: 2, key: 'k', idempotent: true });
      const seen = ({
        side,
        service,
        operation,
        deadline,
        cancel,
        idempotent,
        headers,
        priority,
        cost,
        key,
      }: Call) => ({ side, service, operation, deadline, cancel, idempotent, headers, priority, cost, key });
      const before = seen(call);
      const derived = derive(call, change);
      expect(seen(derived)).toEqual({ ...before, ...change });
      expect(seen(call)).toEqual(before);
      expect(derived.attempt).toBe(call.attempt);
      expect(derived.values).toBe(call.values);
    },
  );
});

describe('fork', () => {
  it('is the next try: its own record, number and headers, and the same values', () => {
    const key = callKey<string>('test.fork');
    const call = createCall({ ...init, headers: carrier({ a: '1' }), deadline: 3 });
    call.attempt.reason = 'p2c';
    const second = fork(call, { deadline: 9 });
    const third = fork(second);
    expect([call, second, third].map(({ attempt }) => attempt.number)).toEqual([1, 2, 3]);
    expect(second.attempt.reason).toBeUndefined();
    expect(second.attempt.id).not.toBe(call.attempt.id);
    expect([call.deadline, second.deadline, third.deadline]).toEqual([3, 9, 9]);
    second.headers.set('b', '2');
    expect([call.headers.get('b'), third.headers.get('a')]).toEqual([undefined, '1']);
    third.values.set(key, 'shared');
    expect(call.values.get(key)).toBe('shared');
  });

  it('takes headers that it is given, and keeps those that cannot be forked', () => {
    const fixed = { get: () => 'v', set: () => undefined, keys: () => ['a'] };
    const call = createCall({ ...init, headers: fixed });
    expect(fork(call).headers).toBe(fixed);
    const own = carrier();
    expect(fork(call, { headers: own }).headers).toBe(own);
  });
});

describe('nameOperation', () => {
  it('names every form of the call, once', () => {
    const call = createCall({ ...init, side: 'server', operation: 'GET' });
    const derived = derive(call, { deadline: 1 });
    const next = fork(call);
    nameOperation(derived, 'GET /users/:id');
    nameOperation(next, 'GET /other');
    expect([call, derived, next].map(({ operation }) => operation)).toEqual(Array(3).fill('GET /users/:id'));
    expect(createCall(init).operation).toBe('GET');
  });
});
