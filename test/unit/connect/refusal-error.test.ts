import { Code, ConnectError } from '@connectrpc/connect';
import { cancelSource, carrier, type RejectionCode, refusal, rejections } from 'keelson/core';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { HeadersCarrier, headersOf } from '../../../src/connect/headers-carrier.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { InboundHeaders } from '../../../src/connect/inbound-headers.js';
import {
  errorForCaller,
  errorForClient,
  errorOfRefusal,
  errorRetriedBelow,
  // biome-ignore lint/style/noRestrictedImports: ground that has no public name
} from '../../../src/connect/refusal-error.js';

const headersIn = ({ metadata }: ConnectError) => Object.fromEntries(metadata);

describe('a refusal', () => {
  it.each(Object.keys(rejections) as RejectionCode[])('%s has the code of its status in gRPC', (code) => {
    const error = refusal(code, 'why', { side: 'server' });
    const told = errorOfRefusal(error);
    expect(told).toMatchObject({ code: error.grpcStatus, rawMessage: 'why', cause: error });
    expect(Code[told.code]).toBeDefined();
  });

  it('of a server tells when to come back, one of its callees does not', () => {
    const full = { retryAfterMs: 120.5 } as const;
    expect(headersIn(errorOfRefusal(refusal('OVERLOADED', '', { ...full, side: 'server' })))).toEqual({
      'x-keelson-shed': 'OVERLOADED',
      'retry-after': '1',
      'retry-after-ms': '121',
      'grpc-retry-pushback-ms': '121',
    });
    expect(headersIn(errorOfRefusal(refusal('OVERLOADED', '', { ...full, side: 'client' })))).toEqual({});
  });
});

describe('what a caller is told', () => {
  const calm = cancelSource();
  const aborted = cancelSource();
  aborted.abort(new Error('mine'));

  it('is native, whatever happened', () => {
    const native = new ConnectError('x', Code.NotFound);
    expect(errorForCaller(native, calm)).toBe(native);
    expect(errorForCaller(refusal('BREAKER_OPEN', 'x'), calm).code).toBe(Code.Unavailable);
    expect(errorForCaller(aborted.reason, aborted)).toMatchObject({
      code: Code.Canceled,
      cause: aborted.reason,
    });
    expect(errorForCaller('text', calm)).toMatchObject({ code: Code.Internal, rawMessage: 'text' });
    expect(errorForCaller(undefined, calm).code).toBe(Code.Internal);
  });
});

describe('what a client is told', () => {
  it('is what the handler threw, but for what a callee says of itself', () => {
    const plain = new RangeError('x');
    expect(errorForClient(plain)).toBe(plain);
    const kept = new ConnectError('x', Code.NotFound, { 'retry-after': '1' });
    expect(errorForClient(kept)).toBe(kept);
    const detail = { type: 'a.B', value: new Uint8Array([1]) };
    const shed = new ConnectError('full', Code.ResourceExhausted, {
      'x-keelson-shed': 'OVERLOADED',
      'retry-after-ms': '5',
      'grpc-retry-pushback-ms': '5',
      'retry-after': '1',
      why: 'because',
    });
    shed.details = [detail];
    const told = errorForClient(shed) as ConnectError;
    expect(told).toMatchObject({ code: Code.ResourceExhausted, rawMessage: 'full', details: [detail] });
    expect(headersIn(told)).toEqual({ why: 'because' });
    expect(shed.metadata.has('x-keelson-shed')).toBe(true);
  });
});

describe('headers', () => {
  it('are read and written as a carrier, and copied for the next attempt', () => {
    const own = new HeadersCarrier(
      new Headers([
        ['A', '1'],
        ['a', '2'],
        ['raw-bin', 'AP8'],
      ]),
    );
    expect(own.get('A')).toBe('1, 2');
    expect(own.get('none')).toBeUndefined();
    expect([...own.keys()]).toEqual(['a', 'raw-bin']);
    const next = own.fork();
    next.set('a', '3');
    expect([own.get('a'), next.get('a')]).toEqual(['1, 2', '3']);
    expect(() => own.set('a', '日本')).toThrow(TypeError);
    expect(headersOf(own)).toBe(own.headers);
    expect(Object.fromEntries(headersOf(carrier({ b: '4' })))).toEqual({ b: '4' });
  });

  it.each([
    [{ 'grpc-timeout': '5S' }, '5S'],
    [{ 'connect-timeout-ms': '250' }, '250m'],
    [{ 'connect-timeout-ms': '250', 'grpc-timeout': '1m' }, '1m'],
    [{ 'connect-timeout-ms': '1234567890' }, undefined],
    [{ 'connect-timeout-ms': 'soon' }, undefined],
    [{}, undefined],
  ])('tell the time that is left by one name: %o', (given, timeout) => {
    expect(new InboundHeaders(new Headers(given as Record<string, string>)).get('grpc-timeout')).toBe(
      timeout,
    );
  });
});

describe('what failed further down', () => {
  it('is told in a copy, the rest of it as it was', () => {
    const native = new ConnectError('down', Code.Unavailable, { own: '1' });
    const told = errorRetriedBelow(native);
    expect(told).toMatchObject({ rawMessage: 'down', code: Code.Unavailable });
    expect(headersIn(told)).toEqual({ own: '1', 'x-keelson-retry': 'no', 'grpc-retry-pushback-ms': '-1' });
    expect(headersIn(native)).toEqual({ own: '1' });
  });

  it('without a code says nothing of itself', () => {
    const mine = new RangeError('secret');
    expect(errorRetriedBelow(mine)).toMatchObject({
      rawMessage: 'internal error',
      code: Code.Internal,
      cause: mine,
    });
  });
});
