import type { Attributes, Observable, ObservableResult } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { collected, hearDiag, losses, standing, values } from './collected.js';

let diag: ReturnType<typeof hearDiag>;
beforeEach(() => {
  diag = hearDiag();
});
afterEach(() => diag.stop());

const never = new Promise<void>(() => {});

describe('observable instruments', () => {
  it('are asked at each collection, and show what was observed in it', async () => {
    const { provider, meter } = standing();
    let reading = 10;
    const level = meter.createObservableUpDownCounter('level', { unit: 'By' });
    level.addCallback((result) => {
      result.observe(reading, { pool: 'a' });
      result.observe(reading * 2, { pool: 'b' });
    });
    expect(values(await collected(provider, 'level'))).toEqual([
      [{ pool: 'a' }, 10],
      [{ pool: 'b' }, 20],
    ]);
    reading = 3;
    expect(await collected(provider, 'level')).toMatchObject({
      kind: 'sum',
      monotonic: false,
      points: [
        { attributes: { pool: 'a' }, value: 3, startMs: 1_700_000_000_000 },
        { attributes: { pool: 'b' }, value: 6 },
      ],
    });
  });

  it('of counters show what was observed, not the sum of it', async () => {
    const { provider, meter } = standing();
    let total = 0;
    meter.createObservableCounter('total').addCallback((result) => {
      total += 5;
      result.observe(total);
    });
    await provider.collect();
    const data = await collected(provider, 'total');
    expect([data.monotonic, values(data)]).toEqual([true, [[{}, 10]]]);
  });

  it('take the last of two values for the same attributes', async () => {
    const { provider, meter } = standing();
    meter.createObservableCounter('c').addCallback((result) => {
      result.observe(1);
      result.observe(2);
    });
    expect(values(await collected(provider, 'c'))).toEqual([[{}, 2]]);
  });

  it('may pass one object that changes', async () => {
    const { provider, meter } = standing();
    meter.createObservableGauge('g').addCallback((result) => {
      const attributes: Attributes = {};
      for (const id of [1, 2]) {
        attributes['id'] = id;
        result.observe(id, attributes);
      }
    });
    expect(values(await collected<'gauge'>(provider, 'g'))).toEqual([
      [{ id: 1 }, 1],
      [{ id: 2 }, 2],
    ]);
  });

  it('hold a callback once, and can be told to forget it', async () => {
    const { provider, meter } = standing();
    let asked = 0;
    const callback = (result: ObservableResult): void => result.observe(++asked);
    const gauge = meter.createObservableGauge('g');
    gauge.addCallback(callback);
    gauge.addCallback(callback);
    await provider.collect();
    expect(asked).toBe(1);
    gauge.removeCallback(callback);
    gauge.removeCallback(callback);
    expect(await provider.collect()).toEqual([]);
    expect(asked).toBe(1);
  });

  it('refuse what is no function, and values that are no finite numbers', async () => {
    const { provider, meter } = standing();
    const gauge = meter.createObservableGauge('g');
    gauge.addCallback('x' as never);
    gauge.addCallback((result) => result.observe(Number.NaN));
    expect((await provider.collect()).map(({ name }) => name)).toEqual([
      'keelson.telemetry.measurements.lost',
    ]);
    expect(diag.heard).toHaveLength(2);
  });
});

describe('batch callbacks', () => {
  const setup = () => {
    const standingMeters = standing();
    const { meter } = standingMeters;
    const [a, b, other] = ['a', 'b', 'other'].map((name) => meter.createObservableGauge(name)) as [
      Observable,
      Observable,
      Observable,
    ];
    return { ...standingMeters, a, b, other };
  };

  it('observe several instruments, and only those that they are registered for', async () => {
    const { provider, meter, a, b, other } = setup();
    meter.addBatchObservableCallback(
      (result) => {
        result.observe(a, 1, { x: 1 });
        result.observe(b, 2);
        result.observe(other, 3);
        result.observe({} as Observable, 4);
      },
      [a, b],
    );
    const all = await provider.collect();
    expect(all.map((data) => [data.name, values(data as never)])).toEqual([
      ['a', [[{ x: 1 }, 1]]],
      ['b', [[{}, 2]]],
    ]);
  });

  it('are known by function and instruments', async () => {
    const { provider, meter, a, b } = setup();
    let asked = 0;
    const callback = (): void => void asked++;
    meter.addBatchObservableCallback(callback, [a, b]);
    meter.addBatchObservableCallback(callback, [b, a, a]);
    meter.addBatchObservableCallback(callback, [a]);
    await provider.collect();
    expect(asked).toBe(2);
    meter.removeBatchObservableCallback(callback, [b, a]);
    await provider.collect();
    expect(asked).toBe(3);
  });

  it('of no instrument, or of others than ours, are not asked', async () => {
    const { provider, meter } = setup();
    let asked = 0;
    const callback = (): void => void asked++;
    for (const list of [[], [{}], undefined, 'x']) meter.addBatchObservableCallback(callback, list as never);
    await provider.collect();
    expect(asked).toBe(0);
  });
});

describe('a collection', () => {
  it('awaits callbacks that give a promise', async () => {
    const { provider, meter, clock } = standing();
    meter.createObservableGauge('g').addCallback(async (result) => {
      await Promise.resolve();
      result.observe(7);
    });
    expect(values(await collected<'gauge'>(provider, 'g'))).toEqual([[{}, 7]]);
    expect(clock.pending).toBe(0);
  });

  it('loses of callbacks that fail what they observed, and nothing else', async () => {
    const { provider, meter } = standing();
    const gauge = meter.createObservableGauge('g');
    gauge.addCallback((result) => {
      result.observe(1, { from: 'thrower' });
      throw new Error('no');
    });
    gauge.addCallback((result) => {
      result.observe(1, { from: 'rejecter' });
      return Promise.reject('text');
    });
    gauge.addCallback((result) => result.observe(1, { from: 'good' }));
    gauge.addCallback(
      () =>
        ({
          // biome-ignore lint/suspicious/noThenProperty: what looks like a promise, and is none.
          get then(): never {
            throw new Error('no');
          },
        }) as never,
    );
    expect(values(await collected<'gauge'>(provider, 'g'))).toEqual([[{ from: 'good' }, 1]]);
    await provider.collect();
    expect(await losses(provider)).toEqual({ callback_failed: 6 });
    expect(diag.heard).toEqual([
      'keelson: a callback of g failed, what it observed is left out: Error',
      'keelson: a callback of g failed, what it observed is left out: string',
    ]);
  });

  it('waits for a callback that hangs so long and no longer, and does not ask it again', async () => {
    const { provider, meter, clock } = standing({ callbackTimeoutMs: 500 });
    let asked = 0;
    const slow = meter.createObservableGauge('slow');
    let late: ObservableResult | undefined;
    slow.addCallback((result) => {
      asked++;
      late = result;
      result.observe(1);
      return never;
    });
    meter.createObservableGauge('good').addCallback(async (result) => result.observe(2));
    const collecting = provider.collect();
    await clock.advance(499);
    expect(await Promise.race([collecting, Promise.resolve('waits')])).toBe('waits');
    await clock.advance(1);
    expect((await collecting).map(({ name }) => name)).toEqual([
      'good',
      'keelson.telemetry.measurements.lost',
    ]);
    late?.observe(99);
    const second = provider.collect();
    await clock.advance(0);
    expect((await second).map(({ name }) => name)).toEqual(['good', 'keelson.telemetry.measurements.lost']);
    expect(asked).toBe(1);
    expect(clock.pending).toBe(0);
    expect(await losses(provider)).toEqual({ callback_timeout: 3 });
    expect(diag.heard).toHaveLength(1);
  });

  it('asks a callback again once it has come back', async () => {
    const { provider, meter, clock } = standing({ callbackTimeoutMs: 500 });
    let release = (): void => {};
    let asked = 0;
    meter.createObservableGauge('g').addCallback(async (result) => {
      const value = ++asked;
      if (value === 1) await new Promise<void>((resolve) => (release = resolve));
      result.observe(value);
    });
    const first = provider.collect();
    await clock.advance(500);
    await first;
    release();
    await clock.advance(0);
    expect(values(await collected<'gauge'>(provider, 'g'))).toEqual([[{}, 2]]);
  });

  it('that comes while one is under way is that one', async () => {
    const { provider, meter } = standing();
    let asked = 0;
    meter.createObservableGauge('g').addCallback(async (result) => result.observe(++asked));
    const [first, second] = await Promise.all([provider.collect(), provider.collect()]);
    expect(first).toBe(second);
    expect(asked).toBe(1);
    await provider.collect();
    expect(asked).toBe(2);
  });

  it('lets others run while it copies many series', async () => {
    const { provider, meter } = standing({ seriesLimit: 20_000 });
    const histogram = meter.createHistogram('h');
    for (let id = 0; id < 10_000; id++) histogram.record(1, { id });
    let turns = 0;
    let done = false;
    const tick = (): void => {
      turns++;
      if (!done) setImmediate(tick);
    };
    setImmediate(tick);
    const { points } = await collected<'histogram'>(provider, 'h');
    done = true;
    expect(points).toHaveLength(10_000);
    // 512 series at a time: 19 pauses.
    expect(turns).toBeGreaterThanOrEqual(19);
  });
});
