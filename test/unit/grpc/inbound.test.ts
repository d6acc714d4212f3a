import { Metadata, type ServerInterceptingCallInterface, status } from '@grpc/grpc-js';
import { createCall, GovernanceError } from 'keelson/core';
import { type GrpcExchange, grpcServerProtocol, grpcServerSemantics, type ServerStatus } from 'keelson/grpc';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { isCoded, statusOfError, wellFormed } from '../../../src/grpc/error-status.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { InboundMetadata } from '../../../src/grpc/inbound-metadata.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { addressOf, grpcTruster, portOf } from '../../../src/grpc/peer.js';

const ofCode = (code: number): ServerStatus => ({ code, details: '', metadata: null });

function exchangeOf(given: ServerStatus | undefined, over = false) {
  const ends: (() => void)[] = [];
  const exchange: GrpcExchange = {
    method: { path: '/test.Greeter/Say', requestStream: false, responseStream: false },
    peer: '10.0.0.7:51000',
    metadata: new Metadata(),
    status: given,
    over,
    whenOver: (run) => void ends.push(run),
  };
  return { exchange, end: () => ends.at(-1)?.() };
}

describe('the outcome of a call on its server', () => {
  it.each([
    [status.OK, 'success'],
    [status.CANCELLED, 'ignored'],
    [status.UNKNOWN, 'failure'],
    [status.INVALID_ARGUMENT, 'success'],
    [status.DEADLINE_EXCEEDED, 'failure'],
    [status.NOT_FOUND, 'success'],
    [status.ALREADY_EXISTS, 'success'],
    [status.PERMISSION_DENIED, 'success'],
    [status.RESOURCE_EXHAUSTED, 'ignored'],
    [status.FAILED_PRECONDITION, 'success'],
    [status.ABORTED, 'success'],
    [status.OUT_OF_RANGE, 'success'],
    [status.UNIMPLEMENTED, 'success'],
    [status.INTERNAL, 'failure'],
    [status.UNAVAILABLE, 'failure'],
    [status.DATA_LOSS, 'failure'],
    [status.UNAUTHENTICATED, 'success'],
    [404, 'failure'],
  ] as const)('with status %i is %s', (code, outcome) => {
    expect(grpcServerProtocol.classify(exchangeOf(ofCode(code)).exchange, undefined)).toBe(outcome);
    // An error is never OK.
    const ofError = code === status.OK ? 'failure' : outcome;
    expect(grpcServerProtocol.classify(undefined, { code })).toBe(ofError);
  });

  it('whose answer has begun is a success so far, and known at its end', () => {
    const { exchange, end } = exchangeOf(undefined);
    expect(grpcServerProtocol.classify(exchange, undefined)).toBe('success');
    const outcomes: string[] = [];
    expect(grpcServerProtocol.onEnd?.(exchange, (outcome) => outcomes.push(outcome))).toBe(true);
    (exchange as { status: ServerStatus }).status = ofCode(status.INTERNAL);
    end();
    expect(outcomes).toEqual(['failure']);
  });

  it('that is over has no end to wait for', () => {
    const { exchange } = exchangeOf(ofCode(0), true);
    expect(grpcServerProtocol.onEnd?.(exchange, () => undefined)).toBe(false);
  });

  it('that failed without a status is a failure', () => {
    expect(grpcServerProtocol.classify(undefined, new Error('x'))).toBe('failure');
    expect(grpcServerProtocol.classify(undefined, undefined)).toBe('failure');
  });
});

describe('the status of an error', () => {
  const metadata = new Metadata();
  it.each([
    [new Error('secret'), { code: status.UNKNOWN, details: 'Unknown error', metadata: null }],
    ['a string', { code: status.UNKNOWN, details: 'Unknown error', metadata: null }],
    [undefined, { code: status.UNKNOWN, details: 'Unknown error', metadata: null }],
    [
      { code: 'ENOENT', message: 'secret' },
      { code: 2, details: 'Unknown error', metadata: null },
    ],
    [
      { code: 1.5, details: 'secret' },
      { code: 2, details: 'Unknown error', metadata: null },
    ],
    // Of databases, of `DOMException`.
    [
      { code: 11_000, message: 'secret' },
      { code: 2, details: 'Unknown error', metadata: null },
    ],
    [new DOMException('secret', 'AbortError'), { code: 2, details: 'Unknown error', metadata: null }],
    [
      { code: 5, details: 'gone', metadata },
      { code: 5, details: 'gone', metadata },
    ],
    [
      { code: 5, details: 'gone', metadata: new Headers() },
      { code: 5, details: 'gone', metadata: null },
    ],
    [Object.assign(new Error('5 gone'), { code: 5 }), { code: 5, details: '5 gone', metadata: null }],
    [
      { code: 5, details: 7 },
      { code: 5, details: '', metadata: null },
    ],
  ])('%o', (error, expected) => {
    expect(statusOfError(error)).toEqual(expected);
  });

  it('of a refusal is that of the refusal, and tells of shedding only what is this server\u2019s own', () => {
    const own = statusOfError(
      new GovernanceError('OVERLOADED', 'full', { side: 'server', retryAfterMs: 7.2 }),
    );
    expect(own.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(own.metadata?.getMap()).toEqual({ 'x-keelson-shed': 'OVERLOADED', 'grpc-retry-pushback-ms': '8' });
    const theirs = statusOfError(new GovernanceError('BREAKER_OPEN', 'users', { side: 'client' }));
    expect(theirs).toMatchObject({ code: status.UNAVAILABLE, details: 'users' });
    expect(theirs.metadata?.getMap()).toEqual({});
  });

  it('that a callee shed is passed on without what that said of itself', () => {
    const metadata = new Metadata();
    metadata.set('x-keelson-shed', 'OVERLOADED');
    metadata.set('grpc-retry-pushback-ms', '500');
    metadata.set('x-keelson-load', 'cpu=0.9');
    metadata.set('x-why', 'because');
    const passed = statusOfError({ code: status.UNAVAILABLE, details: 'no', metadata });
    expect(passed.metadata?.getMap()).toEqual({ 'x-why': 'because' });
    expect(metadata.get('x-keelson-shed')).toEqual(['OVERLOADED']);
  });

  it.each([
    [null],
    [0],
    ['x'],
    [{ code: '5' }],
    [{ code: 'NOT_FOUND' }],
    [{ code: 0 }],
    [{ code: Number.NaN }],
  ])('is not said by %o', (error) => {
    expect(isCoded(error)).toBe(false);
  });

  it.each([
    ['fine', 'fine'],
    ['\ud83d\ude00', '\ud83d\ude00'],
    ['half \ud83d', 'half \ufffd'],
    ['\ude00 half', '\ufffd half'],
    [undefined, 'undefined'],
    [null, 'null'],
    [7, '7'],
  ])('has details that can be sent: %j', (details, sent) => {
    expect(wellFormed(details)).toBe(sent);
    expect(() => encodeURI(wellFormed(details))).not.toThrow();
  });
});

describe('a peer', () => {
  it.each([
    ['127.0.0.1:5000', '127.0.0.1', 5000],
    ['::1:5000', '::1', 5000],
    ['::ffff:10.0.0.1:80', '::ffff:10.0.0.1', 80],
    ['unknown', undefined, undefined],
    ['', undefined, undefined],
  ])('%j', (peer, address, port) => {
    expect(addressOf(peer)).toBe(address);
    expect(portOf(peer)).toBe(port);
  });

  const from = (peer: string) => ({ getPeer: () => peer }) as ServerInterceptingCallInterface;
  it.each([
    ['private', '127.0.0.1:1', true],
    ['private', '::1:1', true],
    ['private', '::ffff:192.168.0.1:1', true],
    ['private', '8.8.8.8:1', false],
    ['private', 'unknown', false],
    [true, '8.8.8.8:1', true],
    [false, '127.0.0.1:1', false],
  ] as const)('with trust %s at %s: %s', (trust, peer, trusted) => {
    expect(grpcTruster(trust)(from(peer))).toBe(trusted);
  });

  it('is not trusted for a promise', () => {
    expect(grpcTruster((() => Promise.resolve(true)) as never)(from('::1:1'))).toBe(false);
  });
});

describe('what is left of the time', () => {
  it.each([
    [Number.POSITIVE_INFINITY, undefined],
    [1e12, undefined],
    [99_999_999, '99999999m'],
    [1500.9, '1500m'],
    [0.4, '0m'],
    [-7, '0m'],
  ])('%d ms reads as %s', (leftMs, text) => {
    const headers = new InboundMetadata(new Metadata(), leftMs);
    expect(headers.get('grpc-timeout')).toBe(text);
    expect(headers.get('x-other')).toBeUndefined();
    expect([...headers.keys()]).toEqual([]);
  });
});

describe('spans and measurements of a server', () => {
  const call = createCall({ side: 'server', service: 'greeter', operation: '/test.Greeter/Say' });
  const basic = { 'rpc.system.name': 'grpc', 'rpc.method': 'test.Greeter/Say' };

  it('are named by the method', () => {
    const { exchange } = exchangeOf(undefined);
    expect(grpcServerSemantics.spanName(exchange, call)).toBe('test.Greeter/Say');
    expect(grpcServerSemantics.requestAttributes(exchange, call)).toEqual({
      ...basic,
      'client.address': '10.0.0.7',
      'network.peer.address': '10.0.0.7',
      'network.peer.port': 51_000,
    });
    expect(grpcServerSemantics.activeAttributes(exchange, call)).toEqual(basic);
    expect(grpcServerSemantics.durationAttributes(exchange, undefined, call)).toEqual(basic);
  });

  it.each([
    [status.OK, 'OK', false],
    [status.NOT_FOUND, 'NOT_FOUND', false],
    [status.RESOURCE_EXHAUSTED, 'RESOURCE_EXHAUSTED', false],
    [status.CANCELLED, 'CANCELLED', false],
    [status.UNKNOWN, 'UNKNOWN', true],
    [status.DEADLINE_EXCEEDED, 'DEADLINE_EXCEEDED', true],
    [status.UNIMPLEMENTED, 'UNIMPLEMENTED', true],
    [status.INTERNAL, 'INTERNAL', true],
    [status.UNAVAILABLE, 'UNAVAILABLE', true],
    [status.DATA_LOSS, 'DATA_LOSS', true],
    [99, '99', false],
  ])('with status %i say %s; an error: %s', (code, name, isError) => {
    const { exchange } = exchangeOf(ofCode(code));
    const attributes = { 'rpc.response.status_code': name };
    expect(grpcServerSemantics.responseAttributes(exchange, call)).toEqual(attributes);
    expect(grpcServerSemantics.durationAttributes(exchange, exchange, call)).toEqual({
      ...basic,
      ...attributes,
    });
    expect(grpcServerSemantics.errorType(exchange)).toBe(isError ? name : undefined);
  });

  it.each([
    [status.NOT_FOUND, 'NOT_FOUND'],
    [status.OK, 'UNKNOWN'],
    [99, 'UNKNOWN'],
  ])('of an error with %i under `code` say %s', (code, name) => {
    const attributes = { 'rpc.response.status_code': name };
    expect(grpcServerSemantics.errorAttributes?.({ code }, call)).toEqual(attributes);
  });
});
