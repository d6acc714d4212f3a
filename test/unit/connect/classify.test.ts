import { Code, ConnectError } from '@connectrpc/connect';
import { type ConnectAnswer, connectClientProtocol } from 'keelson/connect';
import type { Outcome } from 'keelson/core';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { codeName } from '../../../src/connect/code.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { wasUnseen } from '../../../src/connect/wire-fault.js';

const answer = (error: ConnectError | undefined, header?: Record<string, string>): ConnectAnswer => ({
  error,
  response: header && ({ header: new Headers(header) } as ConnectAnswer['response']),
  unseen: false,
});
const outcomeOf = (error: ConnectError) => connectClientProtocol.classify(answer(error), undefined);
const feedbackOf = (error: ConnectError | undefined, header?: Record<string, string>) =>
  connectClientProtocol.feedback?.(answer(error, header));

/** What a callee answers comes with headers. */
const told = (code: Code, text = '', more: Record<string, string> = {}) =>
  new ConnectError(text, code, { 'content-type': 'application/json', ...more });

/** What a transport makes of an error of the platform. */
const behind = (code: Code, cause: unknown, text = 'x') =>
  new ConnectError(text, code, undefined, undefined, cause);
const system = (code: string, more: object = {}) => Object.assign(new Error(code), { code, ...more });
const reset = (name: string) =>
  behind(
    Code.Internal,
    Object.assign(new Error(`Stream closed with error code NGHTTP2_${name}`), {
      code: 'ERR_HTTP2_STREAM_ERROR',
    }),
  );

describe('a code that the callee answers with', () => {
  it.each<[keyof typeof Code, Outcome, string]>([
    ['Canceled', 'ignored', 'canceled'],
    ['Unknown', 'failure', 'unknown'],
    ['InvalidArgument', 'success', 'invalid_argument'],
    ['DeadlineExceeded', 'failure', 'deadline_exceeded'],
    ['NotFound', 'success', 'not_found'],
    ['AlreadyExists', 'success', 'already_exists'],
    ['PermissionDenied', 'success', 'permission_denied'],
    ['ResourceExhausted', 'overload', 'resource_exhausted'],
    ['FailedPrecondition', 'success', 'failed_precondition'],
    ['Aborted', 'success', 'aborted'],
    ['OutOfRange', 'success', 'out_of_range'],
    ['Unimplemented', 'success', 'unimplemented'],
    ['Internal', 'failure', 'internal'],
    ['Unavailable', 'failure', 'unavailable'],
    ['DataLoss', 'failure', 'data_loss'],
    ['Unauthenticated', 'success', 'unauthenticated'],
  ])('%s is %s, and called %s', (name, outcome, written) => {
    expect(outcomeOf(told(Code[name]))).toBe(outcome);
    expect(codeName(Code[name])).toBe(written);
  });

  it('that is none is a failure', () => {
    for (const code of [-1, 0, 17, Number.NaN]) {
      expect(outcomeOf(told(code))).toBe('failure');
      expect(codeName(code)).toBe(String(code));
    }
  });

  it.each([
    [Code.Unavailable, 'overload'],
    [Code.ResourceExhausted, 'overload'],
    [Code.Internal, 'overload'],
  ] as const)('%s of a server that sheds is %s', (code, outcome) => {
    expect(outcomeOf(told(code, '', { 'x-keelson-shed': 'SHUTTING_DOWN' }))).toBe(outcome);
  });

  it.each([
    'message size 20004 is larger than configured readMaxBytes 10000',
    'message size is larger than configured readMaxBytes 10000',
    'message is larger than configured readMaxBytes 1000 after decompression',
    'message size 9 is larger than configured writeMaxBytes 8',
    'grpc: received message larger than max (5 vs. 4)',
  ])('of size says nothing, wherever it was noticed: %s', (text) => {
    expect(outcomeOf(told(Code.ResourceExhausted, text))).toBe('ignored');
    expect(outcomeOf(behind(Code.ResourceExhausted, system('ERR_BUFFER_TOO_LARGE'), text))).toBe('ignored');
  });

  it.each([
    [404, Code.Unimplemented, 'success'],
    [429, Code.Unavailable, 'overload'],
    [431, Code.Unknown, 'success'],
    [503, Code.Unavailable, 'failure'],
    [505, Code.Unknown, 'success'],
  ] as const)('that stands for a plain answer of HTTP is judged by that: %i', (status, code, outcome) => {
    expect(outcomeOf(told(code, `HTTP ${status}`))).toBe(outcome);
  });
});

describe('what becomes of a connection', () => {
  it.each([
    ['refused', behind(Code.Unavailable, system('ECONNREFUSED', { syscall: 'connect' })), 'failure', true],
    ['refused by both addresses', behind(Code.Unavailable, system('ECONNREFUSED')), 'failure', true],
    ['a name that is none', behind(Code.Unavailable, system('ENOTFOUND')), 'failure', true],
    ['timed out', behind(Code.Unavailable, system('ETIMEDOUT', { syscall: 'connect' })), 'failure', true],
    ['silent', behind(Code.Unavailable, system('ETIMEDOUT', { syscall: 'read' })), 'failure', false],
    ['reset', behind(Code.Aborted, system('ECONNRESET', { syscall: 'read' })), 'failure', false],
    ['lost, over HTTP/2', new ConnectError('http/2 stream closed', Code.Canceled), 'failure', false],
    ['a stream that was refused', reset('REFUSED_STREAM'), 'failure', true],
    ['a stream that was reset', reset('INTERNAL_ERROR'), 'failure', false],
    ['too many streams', reset('ENHANCE_YOUR_CALM'), 'overload', false],
    [
      'the same, by another version of connect',
      new ConnectError('closed with error code REFUSED_STREAM (0x7)', Code.Unavailable),
      'failure',
      true,
    ],
    ['out of time', new ConnectError('the operation timed out', Code.DeadlineExceeded), 'failure', false],
    ['an answer without status', new ConnectError('missing status', Code.Internal), 'failure', false],
    ['an answer of another form', behind(Code.InvalidArgument, new SyntaxError('x')), 'failure', false],
    ['hidden under a loop', behind(Code.Unknown, loop()), 'ignored', false],
    [
      'hidden by fetch',
      behind(Code.Unknown, Object.assign(new TypeError('fetch failed'), { cause: system('ECONNREFUSED') })),
      'failure',
      true,
    ],
  ] as const)('%s', (_, error, outcome, unseen) => {
    expect(outcomeOf(error)).toBe(outcome);
    expect(wasUnseen(error)).toBe(unseen);
  });

  it.each([
    ['a message that cannot be written', new ConnectError('serialize binary: no', Code.Internal)],
    ['an interceptor that throws', behind(Code.Unknown, new Error('no token'))],
    ['a stream of the caller that throws', behind(Code.Internal, new RangeError('mine'))],
    ['a header that cannot be sent', behind(Code.Internal, system('ERR_INVALID_CHAR'))],
  ])('is not to blame for %s', (_, error) => {
    expect(outcomeOf(error)).toBe('ignored');
  });

  it('an answer is never one that nobody can have seen', () => {
    expect(wasUnseen(told(Code.Unavailable, 'REFUSED_STREAM'))).toBe(false);
  });
});

/** A chain of causes without an end. */
function loop(): Error {
  const error = new Error('x');
  error.cause = error;
  return error;
}

it('no answer is a fault on this side, a stream that goes on a success', () => {
  expect(connectClientProtocol.classify(undefined, new Error('x'))).toBe('ignored');
  expect(connectClientProtocol.classify(answer(undefined), undefined)).toBe('success');
});

describe('what an answer tells besides', () => {
  it.each([
    [told(Code.DeadlineExceeded), { timedOut: true }],
    [told(Code.NotFound), undefined],
    [told(Code.Unavailable, '', { 'grpc-retry-pushback-ms': '150' }), { retryAfterMs: 150 }],
    [
      told(Code.Unavailable, '', { 'grpc-retry-pushback-ms': '-1' }),
      { retryAfterMs: Number.POSITIVE_INFINITY },
    ],
    [
      told(Code.Unavailable, '', { 'grpc-retry-pushback-ms': 'later' }),
      { retryAfterMs: Number.POSITIVE_INFINITY },
    ],
    [told(Code.Internal, '', { 'x-keelson-retry': 'no' }), { retryAfterMs: Number.POSITIVE_INFINITY }],
    [told(Code.Unavailable, '', { 'retry-after-ms': '99999999' }), { retryAfterMs: 60_000 }],
    [told(Code.Unavailable, '', { 'retry-after': '2' }), { retryAfterMs: 2000 }],
    [told(Code.Unavailable, '', { 'retry-after': '2', 'x-keelson-shed': 'RATE_LIMITED' }), undefined],
    [
      told(Code.Unavailable, '', { 'retry-after': '2', 'x-keelson-shed': 'OVERLOADED' }),
      { overloaded: true },
    ],
    [told(Code.NotFound, '', { 'retry-after': '2' }), undefined],
    [told(Code.Internal, '', { 'x-keelson-load': 'cpu=0.5' }), { load: { cpuRatio: 0.5 } }],
  ])('of an error: %#', (error, feedback) => {
    expect(feedbackOf(error)).toEqual(feedback);
  });

  it('of a response', () => {
    expect(feedbackOf(undefined, { 'x-keelson-load': 'inflight=3' })).toEqual({ load: { inflight: 3 } });
    expect(feedbackOf(undefined, { 'retry-after': '2' })).toBeUndefined();
    expect(feedbackOf(undefined)).toBeUndefined();
  });
});

describe('answers and requests that are not ours', () => {
  it('are over when they are there, and are not sent', () => {
    expect(connectClientProtocol.onEnd?.(answer(undefined), () => undefined)).toBe(false);
    expect(() => connectClientProtocol.discard?.(answer(undefined))).not.toThrow();
    expect(() => connectClientProtocol.replay?.({} as never)).toThrow(TypeError);
  });
});
