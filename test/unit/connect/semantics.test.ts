import { Code, ConnectError } from '@connectrpc/connect';
import {
  type ConnectAnswer,
  type ConnectExchange,
  connectClientSemantics,
  connectServerProtocol,
  connectServerSemantics,
} from 'keelson/connect';
import { createCall, GovernanceError, refusal } from 'keelson/core';
import { describe, expect, it } from 'vitest';
import { Greeter } from '../../doubles/connect-greeter.js';

const statusCode = 'rpc.response.status_code';
const method = Greeter.method.say;
/** As a governed transport tells it. */
const passedOn = new ConnectError(
  '',
  Code.ResourceExhausted,
  undefined,
  undefined,
  refusal('OVERLOADED', '', { side: 'client' }),
);

describe('spans and measurements of clients', () => {
  const request = { method, contextValues: undefined };
  const call = (url?: string) => {
    const made = createCall({ side: 'client', service: 'users', operation: '/test.Greeter/Say' });
    if (url !== undefined) made.attempt.endpoint = { id: 'a', url, weight: 100, metadata: {} };
    return made;
  };
  const answer = (code?: Code) =>
    ({ error: code === undefined ? undefined : new ConnectError('', code) }) as ConnectAnswer;
  const whole = {
    'rpc.system.name': 'connectrpc',
    'rpc.method': 'test.Greeter/Say',
    'server.address': 'users',
  };

  it('are named by the method, and tell service and instance', () => {
    const { requestAttributes, spanName, activeAttributes } = connectClientSemantics;
    expect(spanName(request, call())).toBe('test.Greeter/Say');
    expect(activeAttributes(request, call())).toEqual(whole);
    expect(requestAttributes(request, call())).toEqual(whole);
    for (const [url, address, port] of [
      ['grpc://10.0.0.7:9000', '10.0.0.7', 9000],
      ['https://[::1]:8443', '::1', 8443],
      ['http://users.internal', 'users.internal', undefined],
    ] as const)
      expect(requestAttributes(request, call(url))).toEqual({
        ...whole,
        'network.peer.address': address,
        ...(port === undefined ? {} : { 'network.peer.port': port }),
      });
  });

  it('count every code as an error', () => {
    const { errorType, responseAttributes, errorAttributes, durationAttributes } = connectClientSemantics;
    expect([undefined, Code.NotFound, Code.Unavailable].map((code) => errorType(answer(code)))).toEqual([
      undefined,
      'not_found',
      'unavailable',
    ]);
    expect(responseAttributes(answer(Code.NotFound), call())).toEqual({ [statusCode]: 'not_found' });
    expect(responseAttributes(answer(), call())).toEqual({});
    const limited = refusal('RATE_LIMITED', '');
    expect(errorAttributes?.(limited, call())).toEqual({ [statusCode]: 'resource_exhausted' });
    expect(errorAttributes?.(new Error('x'), call())).toEqual({ [statusCode]: 'internal' });
    const lost = answer(Code.DataLoss);
    expect(durationAttributes(request, lost, call())).toEqual({ ...whole, [statusCode]: 'data_loss' });
    expect(durationAttributes(request, undefined, call())).toEqual(whole);
  });
});

describe('a server', () => {
  const call = createCall({ side: 'server', service: 'users', operation: '/test.Greeter/Say' });
  const exchange = (error?: unknown, more: Partial<ConnectExchange> = {}): ConnectExchange => ({
    method,
    header: new Headers(),
    peer: undefined,
    error,
    over: true,
    whenOver: () => undefined,
    ...more,
  });
  const refused = (code: ConstructorParameters<typeof GovernanceError>[0]) =>
    new GovernanceError(code, '', { side: 'server' });

  it('is described by method, peer and code', () => {
    const { spanName, requestAttributes, responseAttributes, durationAttributes, errorAttributes } =
      connectServerSemantics;
    const whole = { 'rpc.system.name': 'connectrpc', 'rpc.method': 'test.Greeter/Say' };
    expect(spanName(exchange(), call)).toBe('test.Greeter/Say');
    expect(requestAttributes(exchange(), call)).toEqual(whole);
    const peer = { address: '10.0.0.1', port: 5000 };
    expect(requestAttributes(exchange(undefined, { peer }), call)).toEqual({
      ...whole,
      'client.address': '10.0.0.1',
      'network.peer.address': '10.0.0.1',
      'network.peer.port': 5000,
    });
    expect(responseAttributes(exchange(), call)).toEqual({});
    expect(responseAttributes(exchange(refused('OVERLOADED')), call)).toEqual({
      [statusCode]: 'resource_exhausted',
    });
    expect(errorAttributes?.(new Error('x'), call)).toEqual({ [statusCode]: 'internal' });
    expect(durationAttributes(exchange(), undefined, call)).toEqual(whole);
    const missing = exchange(new ConnectError('', Code.NotFound));
    expect(durationAttributes(missing, missing, call)).toEqual({ ...whole, [statusCode]: 'not_found' });
  });

  it.each([
    [undefined, undefined, 'success'],
    [new ConnectError('', Code.NotFound), undefined, 'success'],
    [new ConnectError('', Code.Internal), 'internal', 'failure'],
    [new ConnectError('', Code.ResourceExhausted), undefined, 'ignored'],
    [new ConnectError('', Code.Canceled), undefined, 'ignored'],
    [new ConnectError('', Code.Unimplemented), 'unimplemented', 'success'],
    [refused('PERMISSION_DENIED'), undefined, 'success'],
    [refused('SHUTTING_DOWN'), 'unavailable', 'failure'],
    [new RangeError('x'), 'internal', 'failure'],
    [refused('OVERLOADED'), undefined, 'ignored'],
    [new GovernanceError('OVERLOADED', '', { side: 'client' }), undefined, 'failure'],
    [passedOn, undefined, 'failure'],
  ])('judges itself by what it answers: %s', (error, type, outcome) => {
    expect(connectServerSemantics.errorType(exchange(error))).toBe(type);
    expect(connectServerProtocol.classify(exchange(error), undefined)).toBe(outcome);
    if (error !== undefined) expect(connectServerProtocol.classify(undefined, error)).toBe(outcome);
    expect(connectServerProtocol.onEnd?.(exchange(error), () => undefined)).toBe(false);
    const ends: unknown[] = [];
    const open = exchange(error, { over: false, whenOver: (run) => run() });
    expect(connectServerProtocol.onEnd?.(open, (end) => ends.push(end))).toBe(true);
    expect(ends).toEqual([outcome]);
  });
});
