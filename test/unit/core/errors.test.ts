import { GovernanceError, isGovernanceError, type RejectionCode, refusal, rejections } from 'keelson/core';
import { afterEach, describe, expect, it } from 'vitest';

describe('the table of refusals', () => {
  it.each<[RejectionCode, number, number, boolean]>([
    ['NO_ENDPOINT', 503, 14, true],
    ['BREAKER_OPEN', 503, 14, true],
    ['OVERLOADED', 503, 8, true],
    ['RATE_LIMITED', 429, 8, true],
    ['DEADLINE_EXCEEDED', 504, 4, false],
    ['CANCELLED', 499, 1, false],
    ['BODY_IDLE', 504, 4, false],
    ['BAD_ENDPOINT', 502, 14, false],
    ['SHUTTING_DOWN', 503, 14, true],
    ['INVALID_ARGUMENT', 400, 3, false],
    ['INVALID_RESPONSE', 502, 13, false],
    ['UNAUTHENTICATED', 401, 16, false],
    ['PERMISSION_DENIED', 403, 7, false],
    ['AUTH_UNAVAILABLE', 503, 14, true],
  ])('%s is %d in HTTP, %d in gRPC; retryable: %s', (code, http, grpc, retryable) => {
    const error = new GovernanceError(code, 'no');
    expect([error.httpStatus, error.grpcStatus, error.retryable]).toEqual([http, grpc, retryable]);
    expect(rejections[code]).toEqual({ http, grpc, retryable });
  });

  it('has no other', () => {
    expect(Object.keys(rejections)).toHaveLength(14);
  });
});

describe('GovernanceError', () => {
  it('says what, why and who', () => {
    const cause = new Error('below');
    const error = new GovernanceError('OVERLOADED', 'too much', {
      cause,
      retryAfterMs: 5,
      service: 'users',
      side: 'server',
    });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'GovernanceError',
      message: 'too much',
      code: 'OVERLOADED',
      retryAfterMs: 5,
      service: 'users',
      side: 'server',
      cause,
    });
    expect(String(error)).toBe('GovernanceError: too much');
  });

  it.each<[RejectionCode, 'client' | 'server' | undefined, number, number]>([
    ['INVALID_ARGUMENT', 'server', 400, 3],
    ['INVALID_ARGUMENT', undefined, 400, 3],
    ['INVALID_ARGUMENT', 'client', 500, 13],
    ['UNAUTHENTICATED', 'client', 500, 13],
    ['PERMISSION_DENIED', 'client', 500, 13],
    ['AUTH_UNAVAILABLE', 'client', 503, 14],
    ['INVALID_RESPONSE', 'client', 502, 13],
    ['OVERLOADED', 'client', 503, 8],
  ])('%s on side %s is answered with %d, %d', (code, side, http, grpc) => {
    const error = refusal(code, 'no', { side });
    expect([error.httpStatus, error.grpcStatus]).toEqual([http, grpc]);
  });

  it('has words for whoever sent the call only if it is given some', () => {
    const answer = { text: 'age: expected number', headers: { 'www-authenticate': 'Bearer' } };
    expect(refusal('INVALID_ARGUMENT', 'x', { answer }).answer).toBe(answer);
    expect(refusal('INVALID_ARGUMENT', 'x').answer).toBeUndefined();
  });

  it('of a deadline says whether it had passed beforehand', () => {
    expect(refusal('DEADLINE_EXCEEDED', 'late').unsent).toBe(false);
    expect(refusal('DEADLINE_EXCEEDED', 'late', { unsent: true }).unsent).toBe(true);
  });

  it('bears its name in the first line of its stack', () => {
    expect(new GovernanceError('OVERLOADED', 'too much').stack).toMatch(/^GovernanceError: too much\n/);
    expect(refusal('OVERLOADED', 'too much').stack).toBe('GovernanceError: too much');
  });

  it('has no cause unless there is one', () => {
    expect('cause' in new GovernanceError('OVERLOADED', 'x')).toBe(false);
    expect('cause' in new GovernanceError('OVERLOADED', 'x', { cause: null })).toBe(true);
  });
});

describe('isGovernanceError', () => {
  it.each([
    [new GovernanceError('OVERLOADED', 'x'), true],
    [refusal('OVERLOADED', 'x'), true],
    // As another copy of the package would make it.
    [Object.assign(new Error('x'), { [Symbol.for('keelson.GovernanceError')]: true }), true],
    [new Error('x'), false],
    [{ code: 'OVERLOADED', name: 'GovernanceError' }, false],
    [null, false],
    [undefined, false],
    ['OVERLOADED', false],
    [() => undefined, false],
  ])('%s: %s', (thrown, expected) => {
    expect(isGovernanceError(thrown)).toBe(expected);
  });
});

describe('refusal', () => {
  const limit = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit') as PropertyDescriptor;
  afterEach(() => {
    Object.defineProperty(Error, 'stackTraceLimit', limit);
  });

  it('takes no stack, and leaves that of others alone', () => {
    Error.stackTraceLimit = 7;
    expect(refusal('OVERLOADED', 'no').stack).not.toContain('\n');
    expect(Error.stackTraceLimit).toBe(7);
    expect(new Error('other').stack).toContain('\n');
  });

  it('takes a stack where it may not be left out', () => {
    Object.defineProperty(Error, 'stackTraceLimit', { value: 10, writable: false, configurable: true });
    const error = refusal('OVERLOADED', 'no', { retryAfterMs: 3 });
    expect(error).toMatchObject({ code: 'OVERLOADED', retryAfterMs: 3 });
    expect(error.stack).toContain('\n');
  });
});
