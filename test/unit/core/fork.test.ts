import { carrier, createCall, derive, type Endpoint, fork } from 'keelson/core';
import { describe, expect, it } from 'vitest';

const endpoint = (id: string): Endpoint => ({ id, url: `http://${id}`, weight: 100, metadata: {} });
const first = () =>
  createCall({ side: 'client', service: 'users', operation: 'GET', headers: carrier({ a: '1' }) });

describe('fork', () => {
  it('avoids the endpoints of all tries before', () => {
    const call = first();
    expect(call.attempt.avoid).toBeUndefined();
    call.attempt.endpoint = endpoint('a');
    const second = fork(call);
    expect(second.attempt.avoid).toEqual(new Set(['a']));
    second.attempt.endpoint = endpoint('b');
    expect(fork(second).attempt.avoid).toEqual(new Set(['a', 'b']));
    expect(second.attempt.avoid).toEqual(new Set(['a']));
  });

  it('avoids nothing while nobody was picked', () => {
    expect(fork(first()).attempt.avoid).toBeUndefined();
  });

  it('sees all tries of the call, whichever form of it is forked, and when they were picked', () => {
    const call = first();
    const beside = fork(call);
    const further = fork(call);
    // Picked only now, the later one first.
    further.attempt.endpoint = endpoint('c');
    beside.attempt.endpoint = endpoint('b');
    call.attempt.endpoint = endpoint('a');
    const last = fork(derive(call, { deadline: 5 }));
    expect([beside, further, last].map(({ attempt }) => attempt.number)).toEqual([2, 3, 4]);
    expect(last.attempt.avoid).toEqual(new Set(['a', 'b', 'c']));
    expect(call.attempt.avoid).toBeUndefined();
  });

  it('names an endpoint once, however often it was tried', () => {
    const call = first();
    call.attempt.endpoint = endpoint('a');
    const second = fork(call);
    second.attempt.endpoint = endpoint('a');
    expect(fork(second).attempt.avoid).toEqual(new Set(['a']));
  });

  it('leaves what a pick said to the try it was said of', () => {
    const call = first();
    call.attempt.endpoint = endpoint('a');
    call.attempt.reason = 'p2c';
    call.attempt.choices = 3;
    expect(fork(call).attempt).toMatchObject({ endpoint: undefined, reason: undefined, choices: undefined });
    expect(derive(call, { priority: 1 }).attempt).toBe(call.attempt);
  });

  it('gives each try headers of its own', () => {
    const call = first();
    const second = fork(call);
    second.headers.set('a', '2');
    expect([call.headers.get('a'), second.headers.get('a')]).toEqual(['1', '2']);
  });
});
