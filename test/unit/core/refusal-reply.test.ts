import { GovernanceError, type GovernanceErrorDetails, type RejectionCode, refusal } from 'keelson/core';
import { describe, expect, it } from 'vitest';

// What web frameworks look for on an error.
describe('a refusal that a framework answers', () => {
  it.each<[RejectionCode, GovernanceErrorDetails, number, Record<string, string>]>([
    ['OVERLOADED', { side: 'server' }, 503, { 'x-keelson-shed': 'OVERLOADED', 'retry-after': '1' }],
    [
      'RATE_LIMITED',
      { side: 'server', retryAfterMs: 1200.4 },
      429,
      { 'x-keelson-shed': 'RATE_LIMITED', 'retry-after': '2', 'retry-after-ms': '1201' },
    ],
    ['OVERLOADED', { side: 'client', retryAfterMs: 1200 }, 503, {}],
    ['OVERLOADED', {}, 503, {}],
    // Not for want of capacity, so nobody sheds; but it is known when it may be over.
    [
      'AUTH_UNAVAILABLE',
      { side: 'server', retryAfterMs: 300 },
      503,
      { 'retry-after': '1', 'retry-after-ms': '300' },
    ],
    ['AUTH_UNAVAILABLE', { side: 'server' }, 503, {}],
    ['AUTH_UNAVAILABLE', { side: 'client', retryAfterMs: 300 }, 503, {}],
    ['DEADLINE_EXCEEDED', { side: 'server' }, 504, {}],
    [
      'UNAUTHENTICATED',
      { side: 'server', answer: { headers: { 'www-authenticate': 'Bearer' } } },
      401,
      { 'www-authenticate': 'Bearer' },
    ],
    ['UNAUTHENTICATED', { side: 'client', answer: { headers: { a: 'b' } } }, 500, {}],
  ])('%s %o has status %i and headers %o', async (code, details, status, headers) => {
    const error = new GovernanceError(code, 'no', details);
    expect([error.statusCode, error.headers]).toEqual([status, headers]);
    const response = error.getResponse();
    expect([response.status, await response.text()]).toEqual([status, `${code}\n`]);
    expect(Object.fromEntries(response.headers)).toMatchObject(headers);
  });

  it('says what is for whoever sent the call', async () => {
    const details = { answer: { text: 'name: too short' } };
    const text = (side: 'client' | 'server') =>
      refusal('INVALID_ARGUMENT', 'no', { side, ...details })
        .getResponse()
        .text();
    expect([await text('server'), await text('client')]).toEqual([
      'INVALID_ARGUMENT\nname: too short\n',
      'INVALID_ARGUMENT\n',
    ]);
  });

  it('shows its message to whoever sent the call only if it has words for them', () => {
    const answer = { text: 'name: too short' };
    expect(refusal('INVALID_ARGUMENT', 'no', { side: 'server', answer }).expose).toBe(true);
    expect(refusal('INVALID_ARGUMENT', 'no', { side: 'client', answer }).expose).toBe(false);
    expect(refusal('OVERLOADED', '10.0.0.7 has too much to do', { side: 'server' }).expose).toBe(false);
  });

  it('takes the status that Koa writes on it', () => {
    const error: Error & { status?: number } = refusal('OVERLOADED', 'no');
    error.status = 503;
    expect(error.status).toBe(503);
  });
});
