import { parseTraceparent } from 'keelson/telemetry';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TracingSdk, tracingSdk } from '../doubles/tracing-sdk.js';
import {
  continued,
  type Header,
  parentId,
  restarted,
  states,
  traceId,
  unsampled,
  valid,
} from './trace-context/cases.js';
import { type Harness, harness, type Received, valuesOf } from './trace-context/harness.js';
import { startService } from './trace-context/service.mjs';

// The rules of W3C Trace Context, strict, level 2, against a service that speaks the protocol of the published harness: a
// real server that calls on through a governed client. With an SDK, and without: then what is valid is passed on as it came,
// and what is not begins no trace. Or against any service, which is taken to have one:
//
//   npm run conformance:trace-context -- --check http://127.0.0.1:5000

const given = process.env['KEELSON_TRACE_CONTEXT_URL'];

const sentParent = (request: Received | undefined) => {
  const values = request ? valuesOf(request, 'traceparent') : [];
  expect(values.length).toBeLessThanOrEqual(1);
  return parseTraceparent(values[0]);
};
const sentState = (request: Received | undefined) =>
  request ? valuesOf(request, 'tracestate').join(',') : '';

const subjects = given === undefined ? [true, false] : [true];

describe.each(subjects)('with an SDK: %s', (registered) => {
  let sdk: TracingSdk | undefined;
  let service: { readonly url: string; close(): Promise<void> } | undefined;
  let subject: Harness;
  const passOn = async (headers: readonly Header[], calls?: number) => await subject.drive(headers, calls);

  beforeAll(async () => {
    if (given === undefined) {
      if (registered) sdk = tracingSdk();
      service = await startService();
    }
    subject = await harness(given ?? (service?.url as string));
  });
  afterAll(async () => {
    await subject.close();
    await service?.close();
    await sdk?.stop();
  });

  it.each(continued)('the trace goes on: %s', async (_, headers) => {
    const [request] = await passOn(headers);
    const sent = sentParent(request);
    expect(sent?.traceId).toBe(traceId);
    expect(sent?.traceFlags).toBe(1);
    if (registered) expect(sent?.spanId).not.toBe(parentId);
    else expect(sent?.spanId).toBe(parentId);
  });

  it.each(restarted)('a new trace begins: %s', async (_, headers) => {
    const [request] = await passOn(headers);
    const sent = sentParent(request);
    expect(sentState(request)).toBe('');
    if (!registered) {
      expect(sent).toBeUndefined();
      return;
    }
    expect(sent).toBeDefined();
    expect(headers.some(([, value]) => value.toLowerCase().includes(sent?.traceId ?? ''))).toBe(false);
  });

  it.each(states)('tracestate: %s', async (_, values, expected) => {
    const [request] = await passOn([unsampled, ...values.map((value): Header => ['tracestate', value])]);
    expect(sentParent(request)?.traceId).toBe(traceId);
    expect(sentState(request)).toBe(expected);
  });

  it.each([
    ['trace-state', 'foo=1'],
    ['trace.state', 'foo=1'],
  ])('tracestate under a wrong name: %s', async (name, value) => {
    const [request] = await passOn([unsampled, [name, value]]);
    expect(sentState(request)).toBe('');
  });

  it.each(['TraceState', 'TrAcEsTaTe', 'TRACESTATE'])('tracestate as %s', async (name) => {
    const [request] = await passOn([unsampled, [name, 'foo=1']]);
    expect(sentState(request)).toBe('foo=1');
  });

  it('several calls belong to one trace, and each is a parent of its own', async () => {
    const sent = (await passOn([['traceparent', valid]], 3)).map(sentParent);
    expect(new Set(sent.map((one) => one?.traceId))).toEqual(new Set([traceId]));
    if (registered) expect(new Set(sent.map((one) => one?.spanId)).size).toBe(3);
  });

  it.each<[string, Header[]]>([
    ['no parent', []],
    ['a broken one', [['traceparent', `00-${'0'.repeat(32)}-${parentId}-01`]]],
  ])('several calls of a trace that began here have different parents: %s', async (_, headers) => {
    const sent = (await passOn(headers, 3)).map(sentParent);
    if (registered) {
      expect(new Set(sent.map((one) => one?.spanId)).size).toBe(3);
      expect(new Set(sent.map((one) => one?.traceId)).size).toBe(1);
    } else expect(sent).toEqual([undefined, undefined, undefined]);
  });

  it.each(['02', '03'])('the random flag goes on: %s', async (flags) => {
    const [request] = await passOn([['traceparent', `00-${traceId}-${parentId}-${flags}`]]);
    expect(sentParent(request)).toMatchObject({ traceId, traceFlags: Number.parseInt(flags, 16) });
  });

  it('flags that nobody has defined go no further', async () => {
    const [request] = await passOn([['traceparent', `00-${traceId}-${parentId}-f9`]]);
    expect(request && valuesOf(request, 'traceparent')[0]).toMatch(/-01$/);
  });

  it('the body goes out as it was asked for', async () => {
    const [request] = await passOn([]);
    expect(request?.body).toBe('[]');
  });
});
