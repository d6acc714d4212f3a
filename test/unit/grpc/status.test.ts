import { type Channel, Metadata, status } from '@grpc/grpc-js';
import {
  type GovernanceErrorDetails,
  type Outcome,
  type RejectionCode,
  refusal,
  rejections,
} from 'keelson/core';
import { grpcClientProtocol } from 'keelson/grpc';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { wasUnseen } from '../../../src/grpc/local-status.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { statusName, statusOfRefusal } from '../../../src/grpc/status.js';

/** An answer that has ended, as far as a protocol looks at it. */
const ended = (
  code: number,
  more: { details?: string; trailers?: Record<string, string>; headers?: Metadata } = {},
) => {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(more.trailers ?? {})) metadata.set(name, value);
  return { status: { code, details: more.details ?? '', metadata }, headers: more.headers, unseen: false };
};
const outcomeOf = (...answer: Parameters<typeof ended>) =>
  grpcClientProtocol.classify(ended(...answer) as never, undefined);
const feedbackOf = (...answer: Parameters<typeof ended>) =>
  grpcClientProtocol.feedback?.(ended(...answer) as never);

describe('a status', () => {
  it.each<[keyof typeof status, Outcome]>([
    ['OK', 'success'],
    ['CANCELLED', 'ignored'],
    ['UNKNOWN', 'failure'],
    ['INVALID_ARGUMENT', 'success'],
    ['DEADLINE_EXCEEDED', 'failure'],
    ['NOT_FOUND', 'success'],
    ['ALREADY_EXISTS', 'success'],
    ['PERMISSION_DENIED', 'success'],
    ['RESOURCE_EXHAUSTED', 'overload'],
    ['FAILED_PRECONDITION', 'success'],
    ['ABORTED', 'success'],
    ['OUT_OF_RANGE', 'success'],
    ['UNIMPLEMENTED', 'success'],
    ['INTERNAL', 'failure'],
    ['UNAVAILABLE', 'failure'],
    ['DATA_LOSS', 'failure'],
    ['UNAUTHENTICATED', 'success'],
  ])('%s is %s', (name, outcome) => {
    expect(outcomeOf(status[name])).toBe(outcome);
  });

  it.each([
    ['Received message larger than max (2000 vs 1000)', 'ignored'],
    ['Attempted to send message with a size larger than 1000', 'ignored'],
    ['grpc: received message larger than max (5 vs. 4)', 'ignored'],
    ['gRPC message exceeds maximum size 4: 5', 'ignored'],
    ['quota', 'overload'],
  ])('RESOURCE_EXHAUSTED with "%s" is %s', (details, outcome) => {
    expect(outcomeOf(status.RESOURCE_EXHAUSTED, { details })).toBe(outcome);
  });

  it('that a reset stands for is a failure, one that the peer sent is not', () => {
    expect(outcomeOf(status.CANCELLED, { details: 'Call cancelled' })).toBe('failure');
    const sent = { 'content-type': 'application/grpc' };
    expect(outcomeOf(status.CANCELLED, { details: 'Call cancelled', trailers: sent })).toBe('ignored');
    expect(outcomeOf(status.CANCELLED, { details: 'by me' })).toBe('ignored');
  });

  it('of credentials that could not be had says nothing of the callee', () => {
    const details = 'Getting metadata from plugin failed with error: no token';
    expect(outcomeOf(status.UNKNOWN, { details })).toBe('ignored');
    const sent = { 'content-type': 'application/grpc' };
    expect(outcomeOf(status.UNKNOWN, { details, trailers: sent })).toBe('failure');
  });

  it('that is none is a failure', () => {
    for (const code of [-1, 17, 200, Number.NaN]) expect(outcomeOf(code)).toBe('failure');
  });

  it('of a server that sheds is overload, whatever the code', () => {
    expect(outcomeOf(status.UNAVAILABLE, { trailers: { 'x-keelson-shed': 'SHUTTING_DOWN' } })).toBe(
      'overload',
    );
  });

  it('of none is a fault on this side, a stream that goes on a success', () => {
    expect(grpcClientProtocol.classify(undefined, new Error('x'))).toBe('ignored');
    expect(grpcClientProtocol.classify({ status: undefined } as never, undefined)).toBe('success');
  });
});

describe('a call without an answer', () => {
  const channel = { getTarget: () => 'dns:10.0.0.7:9000' } as Channel;
  const [nowhere, somewhere] = ['dns:10.0.0.7:9000', '10.0.0.7:9000'];
  const sent = { 'content-type': 'application/grpc' };
  it.each([
    ['that no connection took', status.UNAVAILABLE, 'No connection', {}, nowhere, true],
    ['that was refused unseen', status.UNAVAILABLE, 'Stream refused by server', {}, somewhere, true],
    [
      'whose callee says so of its own',
      status.UNAVAILABLE,
      'Stream refused by server',
      sent,
      somewhere,
      false,
    ],
    [
      'refused unseen, then unconnected',
      status.UNAVAILABLE,
      'No connection established. Last',
      {},
      somewhere,
      true,
    ],
    ['whose callee was unconnected', status.UNAVAILABLE, 'No connection established', sent, somewhere, false],
    ['whose connection broke', status.UNAVAILABLE, 'Connection dropped', {}, somewhere, false],
    ['that ran out of time', status.DEADLINE_EXCEEDED, '', {}, nowhere, false],
    ['of an early version', status.UNAVAILABLE, 'No connection', {}, 'unknown', false],
  ])('%s was unseen or not', (_, code, details, trailers, peer, unseen) => {
    const { status: end } = ended(code, { details, trailers });
    expect(wasUnseen(end, peer, channel)).toBe(unseen);
  });
});

describe('what a status tells besides', () => {
  it.each([
    [status.UNAVAILABLE, '250', 250],
    [status.UNAVAILABLE, '0', 0],
    [status.UNAVAILABLE, '999999999', 60_000],
    [status.UNAVAILABLE, '-1', Number.POSITIVE_INFINITY],
    [status.UNAVAILABLE, 'soon', Number.POSITIVE_INFINITY],
    [status.OK, '250', undefined],
  ])('status %i with pushback %s: %s ms', (code, pushback, ms) => {
    const feedback = feedbackOf(code, { trailers: { 'grpc-retry-pushback-ms': pushback } });
    expect(feedback?.retryAfterMs).toBe(ms);
  });

  it('that it is the whole server that has too much to do, and no quota of one caller', () => {
    const shed = (code: number, value: string) => feedbackOf(code, { trailers: { 'x-keelson-shed': value } });
    expect(shed(status.RESOURCE_EXHAUSTED, 'OVERLOADED')).toEqual({ overloaded: true });
    expect(shed(status.RESOURCE_EXHAUSTED, 'RATE_LIMITED')).toBeUndefined();
    expect(shed(status.OK, 'OVERLOADED')).toBeUndefined();
  });

  it('that time ran out, and how loaded the server is', () => {
    expect(feedbackOf(status.OK)).toBeUndefined();
    expect(feedbackOf(status.DEADLINE_EXCEEDED)).toEqual({ timedOut: true });
    expect(feedbackOf(status.OK, { trailers: { 'x-keelson-load': 'cpu=0.5' } })).toEqual({
      load: { cpuRatio: 0.5 },
    });
    const headers = new Metadata();
    headers.set('x-keelson-load', 'inflight=3');
    expect(feedbackOf(status.OK, { headers })).toEqual({ load: { inflight: 3 } });
    const begun = { status: undefined, headers } as never;
    expect(grpcClientProtocol.feedback?.(begun)).toEqual({ load: { inflight: 3 } });
    expect(grpcClientProtocol.feedback?.({ status: undefined, headers: undefined } as never)).toBeUndefined();
  });
});

describe('a refusal', () => {
  it('has a status for each code', () => {
    for (const code of Object.keys(rejections) as RejectionCode[]) {
      const told = statusOfRefusal(refusal(code, 'why', { side: 'server' }));
      expect([code, told.code, told.details]).toEqual([code, rejections[code].grpc, 'why']);
      expect(statusName(told.code)).toMatch(/^[A-Z_]+$/);
    }
    expect(statusName(77)).toBe('77');
    const shed = (details: GovernanceErrorDetails) =>
      statusOfRefusal(refusal('OVERLOADED', 'why', { retryAfterMs: 12.3, ...details })).metadata.getMap();
    expect(shed({ side: 'server' })).toEqual({
      'x-keelson-shed': 'OVERLOADED',
      'grpc-retry-pushback-ms': '13',
    });
    expect(shed({ side: 'client' })).toEqual({});
    const away = refusal('AUTH_UNAVAILABLE', 'why', { side: 'server', retryAfterMs: 300 });
    expect(statusOfRefusal(away).metadata.getMap()).toEqual({ 'grpc-retry-pushback-ms': '300' });
  });
});
