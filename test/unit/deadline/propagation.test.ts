import { sre } from 'keelson/breaker';
import { type Call, type CallInit, carrier, compose, createCall, guard } from 'keelson/core';
import {
  type AcceptDeadlineOptions,
  acceptDeadline,
  attemptTimeout,
  deadline,
  formatGrpcTimeout,
  formatTimeoutMs,
  inboundTimeoutMs,
  parseGrpcTimeout,
  parseTimeoutMs,
  propagateDeadline,
  timeoutHeader,
} from 'keelson/deadline';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

const inbound = (headers: Record<string, string>, init: Partial<CallInit> = {}): Call =>
  createCall({ side: 'server', service: 'users', operation: 'GET', headers: carrier(headers), ...init });

const settled = <T>(promise: Promise<T>) => promise.catch((thrown: unknown) => ({ thrown }));

describe('grpc-timeout', () => {
  it.each([
    ['1n', 1e-6],
    ['250u', 0.25],
    ['100m', 100],
    ['10S', 10_000],
    ['5M', 300_000],
    ['2H', 7_200_000],
    ['0m', 0],
    ['0n', 0],
    ['00000007m', 7],
    ['99999999H', 99_999_999 * 3_600_000],
  ])('%s is %d ms', (value, ms) => {
    expect(parseGrpcTimeout(value)).toBeCloseTo(ms, 9);
  });

  it.each([
    '',
    '5',
    'S',
    '5s',
    '5h',
    '5 S',
    ' 5S',
    '5S ',
    '-5S',
    '+5S',
    '1.5S',
    '1e3m',
    '100000000m',
    '5SS',
    '5S,6S',
    '٥S',
    '5S\n',
    '0x5S',
    '5ms',
  ])('%j is malformed', (value) => {
    expect(parseGrpcTimeout(value)).toBeUndefined();
  });

  it.each([
    [-1, '0n'],
    [0, '0n'],
    [Number.NaN, '0n'],
    [1e-9, '1u'],
    [0.25, '250u'],
    [1, '1m'],
    [1.9, '1m'],
    [99_999_999.9, '99999999m'],
    [100_000_000, '100000S'],
    [1e11, '1666666M'],
    [1e13, '2777777H'],
    [Number.POSITIVE_INFINITY, '99999999H'],
  ])('%d ms is written %s', (ms, value) => {
    expect(formatGrpcTimeout(ms)).toBe(value);
  });
});

describe(timeoutHeader, () => {
  it.each([
    ['0', 0],
    ['1', 1],
    ['0250', 250],
    ['9999999999', 9_999_999_999],
  ])('%s is %d ms', (value, ms) => {
    expect(parseTimeoutMs(value)).toBe(ms);
  });

  it.each([
    '',
    ' 5',
    '5 ',
    '-5',
    '+5',
    '1.5',
    '1e3',
    '0x10',
    '10000000000',
    '5, 6',
    '5ms',
    'Infinity',
    'NaN',
    '٥',
    '5\n',
  ])('%j is malformed', (value) => {
    expect(parseTimeoutMs(value)).toBeUndefined();
  });

  it.each([
    [250.9, '250'],
    [0.4, '1'],
    [0, '0'],
    [-3, '0'],
    [Number.NaN, '0'],
    [1e20, '9999999999'],
    [Number.POSITIVE_INFINITY, '9999999999'],
  ])('%d ms is written %s', (ms, value) => {
    expect(formatTimeoutMs(ms)).toBe(value);
  });
});

describe('inboundTimeoutMs', () => {
  it.each<[Record<string, string>, number]>([
    [{}, Number.POSITIVE_INFINITY],
    [{ 'x-keelson-timeout-ms': '250' }, 250],
    [{ 'grpc-timeout': '250m' }, 250],
    [{ 'x-envoy-expected-rq-timeout-ms': '250' }, 250],
    [{ 'x1-bmspy-timeout': '250' }, 250],
    [{ 'x-keelson-timeout-ms': '250', 'grpc-timeout': '1S', 'x1-bmspy-timeout': '300' }, 250],
    [{ 'x-keelson-timeout-ms': '250', 'grpc-timeout': '10m' }, 10],
    [{ 'x-keelson-timeout-ms': '-1', 'grpc-timeout': '1S' }, 1000],
    [{ 'x-keelson-timeout-ms': 'soon' }, Number.POSITIVE_INFINITY],
    [{ 'x-keelson-timeout-ms': '86400000' }, 86_400_000],
    [{ 'x-keelson-timeout-ms': '86400001' }, Number.POSITIVE_INFINITY],
    [{ 'x-keelson-timeout-ms': '0', 'grpc-timeout': '1S' }, 0],
    [{ 'grpc-timeout': '0n' }, 0],
    [{ 'x-envoy-expected-rq-timeout-ms': '0' }, Number.POSITIVE_INFINITY],
    [{ 'x1-bmspy-timeout': '0', 'x-envoy-expected-rq-timeout-ms': '40' }, 40],
  ])('reads %j as %d', (headers, ms) => {
    expect(inboundTimeoutMs(carrier(headers))).toBe(ms);
  });

  it('has its bound as an argument', () => {
    expect(inboundTimeoutMs(carrier({ 'grpc-timeout': '11m', 'x1-bmspy-timeout': '10' }), 10)).toBe(10);
    expect(inboundTimeoutMs(carrier({ 'grpc-timeout': '11m' }), 10)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('acceptDeadline', () => {
  const accepted = async (
    headers: Record<string, string>,
    options: AcceptDeadlineOptions = {},
    init: Partial<CallInit> = {},
  ) => {
    const seen: Call[] = [];
    const call = inbound(headers, init);
    const handle = acceptDeadline<string, string>({ clock: manualClock(1000), ...options })((_, inner) => {
      seen.push(inner);
      return Promise.resolve('done');
    });
    const end = await settled(handle('hello', call));
    return { end, deadline: seen[0]?.deadline, same: seen[0] === call };
  };
  const header = { [timeoutHeader]: '250' };

  it.each<[string, Record<string, string>, AcceptDeadlineOptions, Partial<CallInit>, number]>([
    ['takes it over', header, {}, {}, 1250],
    ['only shortens', header, {}, { deadline: 1100 }, 1100],
    ['shortens', header, {}, { deadline: 1300 }, 1250],
    ['knows nothing without a header', {}, {}, {}, Number.POSITIVE_INFINITY],
    ['takes a margin off', header, { marginMs: 20 }, {}, 1230],
    ['takes no margin off what is less', header, { marginMs: 250 }, {}, 1250],
    ['believes nobody', header, { trust: false }, {}, Number.POSITIVE_INFINITY],
    ['asks whom to believe', header, { trust: ({ key }) => key === 'gateway' }, { key: 'gateway' }, 1250],
    [
      'asks whom not to',
      header,
      { trust: ({ key }) => key === 'gateway' },
      { key: 'x' },
      Number.POSITIVE_INFINITY,
    ],
    [
      'believes nobody if it cannot ask',
      header,
      {
        trust: () => {
          throw new Error('trust');
        },
      },
      {},
      Number.POSITIVE_INFINITY,
    ],
    ['ignores what is absurd', header, { maxMs: 249 }, {}, Number.POSITIVE_INFINITY],
  ])('%s', async (_, headers, options, init, deadlineMs) => {
    const { end, deadline: given, same } = await accepted(headers, options, init);
    expect(end).toBe('done');
    expect(given).toBe(deadlineMs);
    expect(same).toBe(deadlineMs === (init.deadline ?? Number.POSITIVE_INFINITY));
  });

  it('refuses work that nobody awaits, before the handler', async () => {
    for (const headers of [{ [timeoutHeader]: '0' }, { 'grpc-timeout': '0n' }]) {
      const { end, deadline: given } = await accepted(headers);
      expect(end).toMatchObject({ thrown: { code: 'DEADLINE_EXCEEDED', side: 'server', httpStatus: 504 } });
      expect(given).toBeUndefined();
    }
    expect((await accepted({ [timeoutHeader]: '0' }, { trust: false })).end).toBe('done');
  });

  it('is not made to believe by a promise, of which nobody knows what it will say', async () => {
    const trust = (() => Promise.resolve(true)) as never;
    expect((await accepted({ [timeoutHeader]: '50' }, { trust })).deadline).toBe(Number.POSITIVE_INFINITY);
  });

  it.each([
    [{ trust: 'all' }, TypeError],
    [{ maxMs: 0 }, RangeError],
    [{ marginMs: -1 }, RangeError],
    [{ margin: 1 }, TypeError],
  ])('refuses %j', (options, kind) => {
    expect(() => acceptDeadline(options as AcceptDeadlineOptions)).toThrow(kind);
  });
});

describe('propagateDeadline', () => {
  const clock = manualClock(1000);
  const sent = async (init: Partial<CallInit>) => {
    const call = inbound({}, { side: 'client', ...init });
    let header: string | undefined = 'not sent';
    const end = await settled(
      propagateDeadline<string, string>({ clock })((_, inner) => {
        header = inner.headers.get(timeoutHeader);
        return Promise.resolve('done');
      })('hello', call),
    );
    return { header, end };
  };

  it.each([
    [1250, '250'],
    [1250.7, '250'],
    [1000.2, '1'],
    [Number.POSITIVE_INFINITY, undefined],
  ])('writes what is left of %d', async (deadlineMs, header) => {
    expect(await sent({ deadline: deadlineMs })).toEqual({ header, end: 'done' });
  });

  it.each([1000, 900])('sends nothing after %d', async (deadlineMs) => {
    expect(await sent({ deadline: deadlineMs })).toMatchObject({
      header: 'not sent',
      end: { thrown: { code: 'DEADLINE_EXCEEDED', side: 'client', unsent: true } },
    });
  });

  it('blames nobody for a call that was not sent', async () => {
    const breaker = sre();
    const protocol = { classify: () => 'success' as const };
    const send = compose<string, string>(
      [
        guard([breaker], { protocol, clock }),
        attemptTimeout({ perTryMs: 50, clock }),
        propagateDeadline({ clock }),
      ],
      () => Promise.resolve('done'),
    );
    for (const inner of [900, 1000]) {
      const end = await settled(send('hello', inbound({}, { side: 'client', deadline: inner })));
      expect(end).toMatchObject({ thrown: { code: 'DEADLINE_EXCEEDED' } });
    }
    expect(breaker.snapshot(1000)).toMatchObject({ requests: 0, inflight: 0 });
  });

  it('tells the time of the try, if there is one', async () => {
    let header: string | undefined;
    const send = attemptTimeout<string, string>({ perTryMs: 50, clock })(
      propagateDeadline<string, string>({ clock })((_, inner) => {
        header = inner.headers.get(timeoutHeader);
        return Promise.resolve('done');
      }),
    );
    await send('hello', inbound({}, { deadline: 1250 }));
    expect(header).toBe('50');
  });

  it('shrinks from hop to hop', async () => {
    // Each hop spends 30 ms before it calls on, and its clock shows another time.
    const told: (string | undefined)[] = [];
    const hop = (level: number, headers: Record<string, string>): Promise<string> => {
      const own = manualClock(level * 1e6);
      const serve = acceptDeadline<string, string>({ clock: own })(
        deadline<string, string>({ timeoutMs: 1000, clock: own })(async (_, inner) => {
          if (level === 3) return 'done';
          own.advanceSync(30);
          const call = createCall({
            side: 'client',
            service: 'next',
            operation: 'GET',
            deadline: inner.deadline,
          });
          const send = propagateDeadline<string, string>({ clock: own })((_request, out) => {
            const value = out.headers.get(timeoutHeader);
            told.push(value);
            return hop(level + 1, { [timeoutHeader]: String(value) });
          });
          return send('hello', call);
        }),
      );
      return serve('hello', inbound(headers));
    };
    expect(await hop(0, { [timeoutHeader]: '500' })).toBe('done');
    expect(told).toEqual(['470', '440', '410']);
    told.length = 0;
    expect(await settled(hop(0, { 'grpc-timeout': '50m' }))).toMatchObject({
      thrown: { code: 'DEADLINE_EXCEEDED' },
    });
    expect(told).toEqual(['20']);
  });
});
