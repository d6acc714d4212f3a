import { Metadata, status } from '@grpc/grpc-js';
import { createCall, refusal } from 'keelson/core';
import { type GrpcAnswer, grpcClientSemantics } from 'keelson/grpc';
import { describe, expect, it } from 'vitest';

const request = { path: '/users.Users/GetUser', host: undefined, credentials: undefined };
const call = (url?: string) => {
  const made = createCall({ side: 'client', service: 'users', operation: request.path });
  if (url !== undefined) made.attempt.endpoint = { id: 'a', url, weight: 100, metadata: {} };
  return made;
};
const answer = (code: number | undefined) =>
  ({
    status: code === undefined ? undefined : { code, details: '', metadata: new Metadata() },
  }) as GrpcAnswer;

const whole = {
  'rpc.system.name': 'grpc',
  'rpc.method': 'users.Users/GetUser',
  'server.address': 'users',
};

describe('spans and measurements of gRPC clients', () => {
  it('are named by the method, and tell service and instance', () => {
    const { requestAttributes, spanName } = grpcClientSemantics;
    expect(spanName(request, call())).toBe('users.Users/GetUser');
    expect(requestAttributes(request, call())).toEqual(whole);
    expect(requestAttributes(request, call('grpc://10.0.0.7:9000'))).toEqual({
      ...whole,
      'network.peer.address': '10.0.0.7',
      'network.peer.port': 9000,
    });
    expect(requestAttributes(request, call('grpcs://[::1]:9000'))).toEqual({
      ...whole,
      'network.peer.address': '::1',
      'network.peer.port': 9000,
    });
  });

  it('count every status but OK as an error', () => {
    const { errorType, responseAttributes, errorAttributes, durationAttributes } = grpcClientSemantics;
    expect([undefined, 0, 5, 14, 77].map((code) => errorType(answer(code)))).toEqual([
      undefined,
      undefined,
      'NOT_FOUND',
      'UNAVAILABLE',
      '77',
    ]);
    const code = 'rpc.response.status_code';
    expect(responseAttributes(answer(status.NOT_FOUND), call())).toEqual({ [code]: 'NOT_FOUND' });
    expect(errorAttributes?.(refusal('RATE_LIMITED', ''), call())).toEqual({ [code]: 'RESOURCE_EXHAUSTED' });
    expect(errorAttributes?.(new Error('x'), call())).toEqual({ [code]: 'INTERNAL' });
    expect(durationAttributes(request, answer(0), call())).toEqual({ ...whole, [code]: 'OK' });
    expect(durationAttributes(request, undefined, call())).toEqual(whole);
  });
});
