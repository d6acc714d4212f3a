import http from 'node:http';
import { parseTraceparent } from 'keelson/telemetry';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  listening,
  rawValues,
  type Service,
  tracedClient,
  tracedServer,
} from '../doubles/traced-services.js';
import { type TracingSdk, tracingSdk } from '../doubles/tracing-sdk.js';

// The vectors of the test suite of W3C Trace Context (github.com/w3c/trace-context, test/test.py, strict level 2, spec
// level 2), against a real server that calls on through a real client. With an SDK, and without: then what is valid is
// passed on as it came, and what is not begins no trace.

type Header = readonly [name: string, value: string];

const id = '12345678901234567890123456789012';
const parent = '1234567890123456';
const valid = `00-${id}-${parent}-01`;
const unsampled: Header = ['traceparent', `00-${id}-${parent}-00`];
const traceparents = (...values: string[]): Header[] => values.map((value) => ['traceparent', value]);
const numbered = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => `bar${from + at}=${from + at}`).join(',');

let last: Service;
let shop: Service;
let seen: http.IncomingMessage[] = [];

beforeAll(async () => {
  last = await listening((request, response) => {
    seen.push(request);
    response.end();
  });
  const call = tracedClient(last.url);
  shop = await tracedServer(async (request, response) => {
    for (let left = Number(request.headers['x-calls'] ?? 1); left > 0; left--)
      await (await call('/next')).text();
    response.end();
  });
});

afterAll(async () => {
  await shop.close();
  await last.close();
});

/** What the last service was sent, when the first was sent this. Headers go out as they stand here, repeated ones too. */
async function passOn(headers: readonly Header[], calls = 1): Promise<http.IncomingMessage[]> {
  seen = [];
  const { hostname, port } = new URL(shop.url);
  await new Promise<void>((resolve, reject) => {
    const flat = [...headers, ['x-calls', String(calls)], ['host', hostname]].flat();
    const request = http.request(
      { hostname, port, agent: false, method: 'POST', headers: flat },
      (response) => {
        response.resume().on('end', resolve);
      },
    );
    request.on('error', reject).end();
  });
  expect(seen).toHaveLength(calls);
  return seen;
}

const sentParent = (request: http.IncomingMessage | undefined) => {
  const values = request ? rawValues(request, 'traceparent') : [];
  expect(values.length).toBeLessThanOrEqual(1);
  return parseTraceparent(values[0]);
};
const sentState = (request: http.IncomingMessage | undefined) =>
  request ? rawValues(request, 'tracestate').join(',') : '';

const continued: [string, Header[]][] = [
  ['tracestate missing', traceparents(valid)],
  ['TraceParent', [['TraceParent', valid]]],
  ['TrAcEpArEnT', [['TrAcEpArEnT', valid]]],
  ['TRACEPARENT', [['TRACEPARENT', valid]]],
  ['version cc', traceparents(`cc-${id}-${parent}-01`)],
  ['version cc, longer', traceparents(`cc-${id}-${parent}-01-what-the-future-will-be-like`)],
  ['the same twice', traceparents(valid, valid)],
  ['space before', traceparents(` ${valid}`)],
  ['tab before', traceparents(`\t${valid}`)],
  ['space after', traceparents(`${valid} `)],
  ['tab after', traceparents(`${valid}\t`)],
  ['both around', traceparents(`\t ${valid} \t`)],
];

const restarted: [string, Header[]][] = [
  ['both missing', []],
  ['duplicated', traceparents(`00-${id.slice(0, 31)}1-${parent}-01`, valid)],
  ['trace-parent', [['trace-parent', valid]]],
  ['trace.parent', [['trace.parent', valid]]],
  ['version 00, trailing dot', traceparents(`${valid}.`)],
  ['version 00, longer', traceparents(`${valid}-what-the-future-will-be-like`)],
  ['version cc, wrong separator', traceparents(`cc-${id}-${parent}-01.what-the-future-will-be-like`)],
  ['version ff', traceparents(`ff-${id}-${parent}-01`)],
  ['version .0', traceparents(`.0-${id}-${parent}-01`)],
  ['version 0.', traceparents(`0.-${id}-${parent}-01`)],
  ['version 000', traceparents(`000-${id}-${parent}-01`)],
  ['version 0000', traceparents(`0000-${id}-${parent}-01`)],
  ['version 0', traceparents(`0-${id}-${parent}-01`)],
  ['trace id all zero', traceparents(`00-${'0'.repeat(32)}-${parent}-01`)],
  ['trace id with a dot first', traceparents(`00-.${id.slice(1)}-${parent}-01`)],
  ['trace id with a dot last', traceparents(`00-${id.slice(0, 31)}.-${parent}-01`)],
  ['trace id too long', traceparents(`00-${id}3-${parent}-01`)],
  ['trace id too short', traceparents(`00-${id.slice(0, 31)}-${parent}-01`)],
  ['parent id all zero', traceparents(`00-${id}-${'0'.repeat(16)}-01`)],
  ['parent id with a dot first', traceparents(`00-${id}-.${parent.slice(1)}-01`)],
  ['parent id with a dot last', traceparents(`00-${id}-${parent.slice(0, 15)}.-01`)],
  ['parent id too long', traceparents(`00-${id}-${parent}7-01`)],
  ['parent id too short', traceparents(`00-${id}-${parent.slice(0, 15)}-01`)],
  ['flags .0', traceparents(`00-${id}-${parent}-.0`)],
  ['flags 0.', traceparents(`00-${id}-${parent}-0.`)],
  ['flags 001', traceparents(`00-${id}-${parent}-001`)],
  ['flags 1', traceparents(`00-${id}-${parent}-1`)],
  ['tracestate alone', [['tracestate', 'foo=1']]],
];

const allowed = `abcdefghijklmnopqrstuvwxyz0123456789_-*/`;
const printable = Array.from({ length: 0x7e - 0x20 + 1 }, (_, at) => String.fromCharCode(0x20 + at))
  .filter((character) => character !== ',' && character !== '=')
  .join('');

/** Headers, and the list that goes on; empty for one that is discarded. */
const states: [string, string[], string][] = [
  ['both included', ['foo=1,bar=2'], 'foo=1,bar=2'],
  ['empty', [''], ''],
  ['empty last', ['foo=1', ''], 'foo=1'],
  ['empty first', ['', 'foo=1'], 'foo=1'],
  ['several headers', ['foo=1,bar=2', 'rojo=1,congo=2', 'baz=3'], 'foo=1,bar=2,rojo=1,congo=2,baz=3'],
  ['keys twice', ['foo=1,foo=1'], 'foo=1'],
  ['keys twice, other values', ['foo=1,foo=2'], 'foo=1'],
  ['keys twice in two headers', ['foo=1', 'foo=2'], 'foo=1'],
  ['all characters of a key', [`${allowed}=${printable}`], `${allowed}=${printable}`],
  ['all characters with @', [`${allowed}@a-z0-9_-*/=${printable}`], `${allowed}@a-z0-9_-*/=${printable}`],
  ['spaces around', ['foo=1 \t , \t bar=2, \t baz=3'], 'foo=1,bar=2,baz=3'],
  ['tabs around', ['foo=1\t \t,\t \tbar=2,\t \tbaz=3'], 'foo=1,bar=2,baz=3'],
  ['space before', [' foo=1'], 'foo=1'],
  ['tab after', ['foo=1\t'], 'foo=1'],
  ['space in a key', ['foo =1'], ''],
  ['upper case key', ['FOO=1'], ''],
  ['dot in a key', ['foo.bar=1'], ''],
  ['foo@', ['foo@=1,bar=2'], 'foo@=1,bar=2'],
  ['@foo', ['@foo=1,bar=2'], ''],
  ['foo@@bar', ['foo@@bar=1,bar=2'], 'foo@@bar=1,bar=2'],
  ['foo@bar@baz', ['foo@bar@baz=1,bar=2'], 'foo@bar@baz=1,bar=2'],
  ['32 members', [numbered(1, 10), numbered(11, 32)], numbered(1, 32)],
  ['33 members', [numbered(1, 10), numbered(11, 33)], ''],
  ['key of 256', ['foo=1', `${'z'.repeat(256)}=1`], `foo=1,${'z'.repeat(256)}=1`],
  ['key of 257', ['foo=1', `${'z'.repeat(257)}=1`], ''],
  [
    '241@14',
    ['foo=1', `${'t'.repeat(241)}@${'v'.repeat(14)}=1`],
    `foo=1,${'t'.repeat(241)}@${'v'.repeat(14)}=1`,
  ],
  ['242@1', ['foo=1', `${'t'.repeat(242)}@v=1`], `foo=1,${'t'.repeat(242)}@v=1`],
  ['1@15', ['foo=1', `t@${'v'.repeat(15)}=1`], `foo=1,t@${'v'.repeat(15)}=1`],
  ['two equals signs', ['foo=bar=baz'], ''],
  ['no value', ['foo=,bar=3'], ''],
];

describe.each([true, false])('with an SDK: %s', (registered) => {
  let sdk: TracingSdk | undefined;
  beforeAll(() => {
    if (registered) sdk = tracingSdk();
  });
  afterAll(async () => {
    await sdk?.stop();
  });

  it.each(continued)('the trace goes on: %s', async (_, headers) => {
    const [request] = await passOn(headers);
    const sent = sentParent(request);
    expect(sent?.traceId).toBe(id);
    expect(sent?.traceFlags).toBe(1);
    if (registered) expect(sent?.spanId).not.toBe(parent);
    else expect(sent?.spanId).toBe(parent);
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
    expect(headers.some(([, value]) => value.includes(sent?.traceId ?? ''))).toBe(false);
  });

  it.each(states)('tracestate: %s', async (_, values, expected) => {
    const [request] = await passOn([unsampled, ...values.map((value): Header => ['tracestate', value])]);
    expect(sentParent(request)?.traceId).toBe(id);
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
    const sent = (await passOn(traceparents(valid), 3)).map(sentParent);
    expect(new Set(sent.map((one) => one?.traceId))).toEqual(new Set([id]));
    if (registered) expect(new Set(sent.map((one) => one?.spanId)).size).toBe(3);
  });

  it.each([[], traceparents(`00-${'0'.repeat(32)}-${parent}-01`)])(
    'several calls of a trace that began here have different parents',
    async (...headers) => {
      const sent = (await passOn(headers as Header[], 3)).map(sentParent);
      if (registered) expect(new Set(sent.map((one) => one?.spanId)).size).toBe(3);
      else expect(sent).toEqual([undefined, undefined, undefined]);
    },
  );

  it.each(['02', '03'])('the random flag goes on: %s', async (flags) => {
    const [request] = await passOn(traceparents(`00-${id}-${parent}-${flags}`));
    expect(sentParent(request)).toMatchObject({ traceId: id, traceFlags: Number.parseInt(flags, 16) });
  });

  it('flags that nobody has defined go no further', async () => {
    const [request] = await passOn(traceparents(`00-${id}-${parent}-f9`));
    expect(rawValues(request as http.IncomingMessage, 'traceparent')[0]).toMatch(/-01$/);
  });
});
