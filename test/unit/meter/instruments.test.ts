import { type Attributes, type Counter, metrics, ValueType } from '@opentelemetry/api';
import type { GaugeData, NumberPoint } from 'keelson/meter';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { collected, hearDiag, losses, standing, values } from './collected.js';

let diag: ReturnType<typeof hearDiag>;
beforeEach(() => {
  diag = hearDiag();
});
afterEach(() => diag.stop());

it('what was recorded is counted, over all instruments; what is left out, and what is observed, is not', async () => {
  const { provider, meter } = standing();
  meter.createObservableGauge('seen').addCallback((result) => result.observe(1));
  const counter = meter.createCounter('calls');
  expect(provider.recorded).toBe(0);
  counter.add(1);
  counter.add(Number.NaN);
  meter.createHistogram('times').record(2);
  await provider.collect();
  // Of what was left out one says so.
  expect(provider.recorded).toBe(3);
});

describe('a counter', () => {
  it('adds up per attributes since its series began', async () => {
    const { clock, provider, meter } = standing();
    const counter = meter.createCounter('calls', { description: 'Calls.', unit: '{call}' });
    counter.add(1, { route: '/a' });
    await clock.advance(5000);
    counter.add(2, { route: '/b' });
    counter.add(3, { route: '/a' });
    await clock.advance(1000);
    const data = await collected(provider, 'calls');
    expect(data).toMatchObject({
      scope: { name: 'test', version: '1.2.3', schemaUrl: '' },
      description: 'Calls.',
      unit: '{call}',
      kind: 'sum',
      monotonic: true,
      integer: false,
    });
    expect(data.points).toEqual([
      {
        attributes: { route: '/a' },
        startMs: 1_700_000_000_000,
        atMs: 1_700_000_006_000,
        value: 4,
        exemplars: [],
      },
      {
        attributes: { route: '/b' },
        startMs: 1_700_000_005_000,
        atMs: 1_700_000_006_000,
        value: 2,
        exemplars: [],
      },
    ]);
  });

  it('leaves out what is below zero or no finite number, counts it, and tells of it once', async () => {
    const { provider, meter } = standing();
    const counter = meter.createCounter('calls');
    counter.add(1);
    for (const value of [-1, -1, Number.NaN, Number.POSITIVE_INFINITY, '2' as unknown as number])
      counter.add(value);
    expect(values(await collected(provider, 'calls'))).toEqual([[{}, 1]]);
    expect(await losses(provider)).toEqual({ negative: 2, not_finite: 3 });
    expect(diag.heard).toEqual([
      'keelson: calls was given a value below zero; it is left out',
      'keelson: calls was given a value that is no finite number; it is left out',
    ]);
  });

  it('of whole numbers cuts fractions off', async () => {
    const { provider, meter } = standing();
    const counter = meter.createCounter('bytes', { valueType: ValueType.INT });
    counter.add(2.9);
    counter.add(3);
    const data = await collected(provider, 'bytes');
    expect([data.integer, data.points[0]?.value]).toEqual([true, 5]);
    expect(diag.heard).toHaveLength(1);
  });

  it('stays finite, whatever is added', async () => {
    const { provider, meter } = standing();
    const level = meter.createUpDownCounter('level');
    for (const value of [Number.MAX_VALUE, Number.MAX_VALUE, -Number.MAX_VALUE, -Number.MAX_VALUE])
      level.add(value);
    const [point] = (await collected(provider, 'level')).points;
    expect(Number.isFinite(point?.value)).toBe(true);
  });

  it('gives copies that later measurements leave alone', async () => {
    const { provider, meter } = standing();
    const counter = meter.createCounter('calls');
    counter.add(1);
    const before = await collected(provider, 'calls');
    counter.add(1);
    expect(before.points[0]?.value).toBe(1);
  });
});

describe('an up-down counter', () => {
  it('adds up in both directions', async () => {
    const { provider, meter } = standing();
    const level = meter.createUpDownCounter('inflight');
    level.add(5);
    level.add(-2);
    const data = await collected(provider, 'inflight');
    expect([data.kind, data.monotonic, values(data)]).toEqual(['sum', false, [[{}, 3]]]);
  });
});

describe('a gauge', () => {
  it('keeps the last value, below zero as well', async () => {
    const { provider, meter } = standing();
    const gauge = meter.createGauge('temperature');
    gauge.record(20);
    gauge.record(-3.5);
    gauge.record(Number.NaN);
    const data = await collected<'gauge'>(provider, 'temperature');
    expect([data.kind, values(data)]).toEqual(['gauge', [[{}, -3.5]]]);
  });
});

describe('attributes', () => {
  const of = async (...given: unknown[]): Promise<readonly (readonly unknown[])[]> => {
    const { provider, meter } = standing();
    const counter = meter.createCounter('calls');
    for (const attributes of given) counter.add(1, attributes as Attributes);
    // Once more, now that the ways are known.
    for (const attributes of given) counter.add(1, attributes as Attributes);
    return values(await collected(provider, 'calls'));
  };

  it.each<[string, unknown[], [Attributes, number][]]>([
    ['none, and empty ones, are the same', [undefined, {}, null], [[{}, 6]]],
    [
      'their order does not count',
      [
        { a: 1, b: 2 },
        { b: 2, a: 1 },
      ],
      [[{ a: 1, b: 2 }, 4]],
    ],
    [
      'their types do',
      [{ a: 1 }, { a: '1' }, { a: true }, { a: 'true' }],
      [
        [{ a: 1 }, 2],
        [{ a: '1' }, 2],
        [{ a: true }, 2],
        [{ a: 'true' }, 2],
      ],
    ],
    [
      'what is no value is left out',
      [{ a: 1, b: undefined, c: null, d: {}, e: () => 1, f: Symbol('f'), g: 1n, '': 2 }],
      [[{ a: 1 }, 2]],
    ],
    [
      'lists count by what they hold',
      [{ a: ['x', 'y'] }, { a: ['x', 'y'] }, { a: ['y', 'x'] }],
      [
        [{ a: ['x', 'y'] }, 4],
        [{ a: ['y', 'x'] }, 2],
      ],
    ],
    [
      'numbers that are none become text',
      [{ a: Number.NaN }, { a: Number.POSITIVE_INFINITY }],
      [
        [{ a: 'NaN' }, 2],
        [{ a: 'Infinity' }, 2],
      ],
    ],
    [
      'a key of the prototype is one',
      [JSON.parse('{"__proto__":"x"}')],
      [[JSON.parse('{"__proto__":"x"}'), 2]],
    ],
    ['text is none', ['abc'], [[{}, 2]]],
  ])('%s', async (_, given, expected) => {
    expect(await of(...given)).toEqual(expected);
  });

  it('may be one object that changes', async () => {
    const { provider, meter } = standing();
    const counter = meter.createCounter('calls');
    const attributes: Attributes = { status: 200 };
    counter.add(1, attributes);
    attributes['status'] = 500;
    counter.add(1, attributes);
    attributes['status'] = 200;
    counter.add(1, attributes);
    expect(values(await collected(provider, 'calls'))).toEqual([
      [{ status: 200 }, 2],
      [{ status: 500 }, 1],
    ]);
  });

  it('may be one list that changes', async () => {
    const { provider, meter } = standing();
    const counter = meter.createCounter('calls');
    const tags = ['x'];
    counter.add(1, { tags });
    tags[0] = 'y';
    counter.add(1, { tags });
    expect(values(await collected(provider, 'calls'))).toEqual([
      [{ tags: ['x'] }, 1],
      [{ tags: ['y'] }, 1],
    ]);
  });

  it('may throw: what does is left out, and the rest counts', async () => {
    const hostile = {
      a: 1,
      get b(): number {
        throw new Error('no');
      },
    };
    const proxy = new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error('no');
        },
      },
    );
    expect(await of(hostile, proxy)).toEqual([
      [{ a: 1 }, 2],
      [{}, 2],
    ]);
  });

  it('that differ each time they are read stay what they were when they were read', async () => {
    const { provider, meter } = standing();
    const counter = meter.createCounter('calls');
    let reads = 0;
    counter.add(1, {
      get a() {
        return ++reads % 2;
      },
    });
    counter.add(1, { a: 0 });
    counter.add(1, { a: 1 });
    const byValue = new Map(
      (await collected(provider, 'calls')).points.map((p) => [p.attributes['a'], p.value]),
    );
    expect([...byValue.values()].sort()).toEqual([1, 2]);
  });

  it('are cut: long values, long lists, many names', async () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`k${at}`, at]));
    const [long, list, wide] = await of({ a: 'x'.repeat(5000) }, { a: new Array(5000).fill('y') }, many);
    expect(long?.[0]).toEqual({ a: 'x'.repeat(1024) });
    expect(list?.[0]).toEqual({ a: new Array(1024).fill('y') });
    expect(Object.keys(wide?.[0] as Attributes)).toHaveLength(128);
  });

  it('cannot be changed by who collects', async () => {
    const { provider, meter } = standing();
    meter.createCounter('calls').add(1, { a: 1 });
    const [point] = (await collected(provider, 'calls')).points;
    expect(Object.isFrozen(point?.attributes)).toBe(true);
  });
});

describe('clocks', () => {
  it.each(['told', 'asked'])(
    'that are set back move the beginning of what is %s once, and never behind the end',
    async (kind) => {
      const { provider, meter, clock } = standing();
      if (kind === 'told') meter.createCounter('calls').add(1);
      else meter.createObservableCounter('calls').addCallback((result) => result.observe(1));
      const seen: NumberPoint[] = [];
      for (const step of [1000, -7_200_000, 1000, 1000]) {
        await clock.advance(step);
        seen.push(...(await collected(provider, 'calls')).points);
      }
      expect(seen.every(({ startMs, atMs }) => startMs <= atMs)).toBe(true);
      expect(new Set(seen.slice(1).map(({ startMs }) => startMs)).size).toBe(1);
    },
  );
});

describe('meters', () => {
  it('are what the api calls a MeterProvider', async () => {
    const { provider } = standing();
    metrics.setGlobalMeterProvider(provider);
    try {
      const counter: Counter = metrics.getMeter('global').createCounter('calls');
      counter.add(1);
      expect(values(await collected(provider, 'calls'))).toEqual([[{}, 1]]);
    } finally {
      metrics.disable();
    }
  });

  it('are one per name, version and schema', () => {
    const { provider } = standing();
    const one = provider.getMeter('a', '1', { schemaUrl: 'https://s' });
    expect(provider.getMeter('a', '1', { schemaUrl: 'https://s' })).toBe(one);
    for (const other of [
      provider.getMeter('a'),
      provider.getMeter('a', '2', { schemaUrl: 'https://s' }),
      provider.getMeter('a', '1'),
    ])
      expect(other).not.toBe(one);
  });

  it('are bounded, and so are instruments', async () => {
    // One of the meters is that of `standing`.
    const { provider } = standing({ instrumentLimit: 3 });
    for (let at = 0; at < 10; at++) provider.getMeter(`m${at}`).createGauge(`g${at}`).record(at);
    const all = (await provider.collect()) as readonly GaugeData[];
    expect(all.map(({ name }) => name)).toEqual(['g0', 'g1']);
    const meter = provider.getMeter('m0');
    for (let at = 0; at < 10; at++) meter.createCounter(`c${at}`).add(1);
    expect(await provider.collect()).toHaveLength(3);
    expect(diag.heard.filter((message) => message.includes('limit'))).toHaveLength(2);
  });

  it.each<[string, unknown, string]>([
    ['an unknown option', { seriesLimits: 3 }, 'meters'],
    ['too small a limit', { seriesLimit: 1 }, 'meters.seriesLimit'],
    ['no number', { idleMs: '1' }, 'meters.idleMs'],
    ['an unknown kind', { histogram: 'native' }, 'meters.histogram'],
    ['views that are no list', { views: {} }, 'meters.views'],
    ['a view of nothing', { views: [{}] }, 'meters.views[0].instrument'],
    ['a name that is none', { views: [{ instrument: 'a', name: 'b c' }] }, 'meters.views[0].name'],
    ['bounds that fall', { views: [{ instrument: 'a', bounds: [2, 1] }] }, 'meters.views[0].bounds'],
    [
      'attributes that are no list',
      { views: [{ instrument: 'a', attributes: 'b' }] },
      'meters.views[0].attributes',
    ],
    [
      'an unknown kind in a view',
      { views: [{ instrument: 'a', histogram: 'x' }] },
      'meters.views[0].histogram',
    ],
    ['too few buckets', { views: [{ instrument: 'a', maxBuckets: 2 }] }, 'meters.views[0].maxBuckets'],
  ])('refuse %s', (_, options, field) => {
    expect(() => standing(options as never)).toThrow(field);
  });
});
