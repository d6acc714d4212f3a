import type { Attributes } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { collected, hearDiag, standing, values } from './collected.js';

let diag: ReturnType<typeof hearDiag>;
beforeEach(() => {
  diag = hearDiag();
});
afterEach(() => diag.stop());

const overflow = { 'otel.metric.overflow': true };

describe('the limit of series', () => {
  it('is 2000 with that of the overflow, in which everything else is', async () => {
    const { provider, meter } = standing();
    const counter = meter.createCounter('calls');
    for (let round = 0; round < 2; round++) for (let id = 0; id < 5000; id++) counter.add(1, { id });
    const data = values(await collected(provider, 'calls')) as [Attributes, number][];
    expect(data).toHaveLength(2000);
    expect(data.slice(0, -1).every(([, value]) => value === 2)).toBe(true);
    expect(data.at(-1)).toEqual([overflow, 2 * (5000 - 1999)]);
    expect(diag.heard).toEqual([expect.stringContaining('calls has 2000 series, which is its limit')]);
  });

  it('holds for each instrument by itself, and a view may set it', async () => {
    const { provider, meter } = standing({ seriesLimit: 3, views: [{ instrument: 'few', seriesLimit: 2 }] });
    const [few, more] = [meter.createCounter('few'), meter.createCounter('more')];
    for (const id of [1, 2, 3, 4]) {
      few.add(1, { id });
      more.add(1, { id });
    }
    expect(values(await collected(provider, 'few'))).toEqual([
      [{ id: 1 }, 1],
      [overflow, 3],
    ]);
    expect(values(await collected(provider, 'more'))).toEqual([
      [{ id: 1 }, 1],
      [{ id: 2 }, 1],
      [overflow, 2],
    ]);
  });

  it('adds up what is observed beyond it, and keeps the last of gauges', async () => {
    const { provider, meter } = standing({ seriesLimit: 2 });
    for (const instrument of [meter.createObservableCounter('sum'), meter.createObservableGauge('last')])
      instrument.addCallback((result) => {
        for (const id of [1, 2, 3, 4]) result.observe(id * 10, { id });
      });
    for (let round = 0; round < 2; round++) {
      expect(values(await collected(provider, 'sum'))).toEqual([
        [{ id: 1 }, 10],
        [overflow, 90],
      ]);
      expect(values(await collected<'gauge'>(provider, 'last'))).toEqual([
        [{ id: 1 }, 10],
        [overflow, 40],
      ]);
    }
  });

  it('does not forget what it knows by another order of names', async () => {
    const { provider, meter } = standing({ seriesLimit: 2 });
    const counter = meter.createCounter('calls');
    counter.add(1, { a: 1, b: 2 });
    counter.add(1, { c: 3 });
    counter.add(1, { b: 2, a: 1 });
    expect(values(await collected(provider, 'calls'))).toEqual([
      [{ a: 1, b: 2 }, 2],
      [overflow, 1],
    ]);
  });

  it('bounds what is remembered of orders of names too', async () => {
    const { provider, meter } = standing({ seriesLimit: 2 });
    const counter = meter.createCounter('calls');
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (let turn = 0; turn < 1000; turn++) {
      const order = names.map((name, at) => [(turn * 31 + at * (turn % 7)) % 5, name] as const).sort();
      counter.add(1, Object.fromEntries(order.map(([, name]) => [name, 1])));
    }
    const [[, value] = []] = values(await collected(provider, 'calls'));
    expect(value).toBe(1000);
  });
});

describe('idle series', () => {
  it('are forgotten when the option says so, and begin anew', async () => {
    const { clock, provider, meter } = standing({ idleMs: 60_000 });
    const counter = meter.createCounter('calls');
    counter.add(5, { endpoint: 'a' });
    counter.add(1, { endpoint: 'b' });
    const seen: unknown[] = [];
    for (let minute = 0; minute < 4; minute++) {
      seen.push(values(await collected(provider, 'calls')));
      await clock.advance(59_000);
      counter.add(1, { endpoint: 'b' });
    }
    expect(seen).toEqual([
      [
        [{ endpoint: 'a' }, 5],
        [{ endpoint: 'b' }, 1],
      ],
      [
        [{ endpoint: 'a' }, 5],
        [{ endpoint: 'b' }, 2],
      ],
      [[{ endpoint: 'b' }, 3]],
      [[{ endpoint: 'b' }, 4]],
    ]);
    counter.add(1, { endpoint: 'a' });
    const again = (await collected(provider, 'calls')).points.find(
      (point) => point.attributes['endpoint'] === 'a',
    );
    expect(again).toMatchObject({ value: 1, startMs: clock.wallMs() });
  });

  it('make room below the limit', async () => {
    const { clock, provider, meter } = standing({
      seriesLimit: 3,
      views: [{ instrument: 'calls', idleMs: 1000 }],
    });
    const counter = meter.createCounter('calls');
    for (let deployment = 0; deployment < 5; deployment++) {
      counter.add(1, { endpoint: deployment * 2 });
      counter.add(1, { endpoint: deployment * 2 + 1 });
      await provider.collect();
      await clock.advance(2000);
      await provider.collect();
    }
    expect(diag.heard).toEqual([]);
    expect(await provider.collect()).toEqual([]);
  });

  it('of up-down counters stay while something is there', async () => {
    const { clock, provider, meter } = standing({ idleMs: 1000 });
    const level = meter.createUpDownCounter('connections');
    level.add(2, { endpoint: 'a' });
    level.add(1, { endpoint: 'b' });
    level.add(-1, { endpoint: 'b' });
    await provider.collect();
    await clock.advance(100_000);
    expect(values(await collected(provider, 'connections'))).toEqual([[{ endpoint: 'a' }, 2]]);
  });

  it('are kept by a clock that steps back', async () => {
    const { clock, provider, meter } = standing({ idleMs: 1000 });
    meter.createCounter('calls').add(1);
    await provider.collect();
    await clock.advance(-100_000);
    expect(await provider.collect()).toHaveLength(1);
    await clock.advance(900);
    expect(await provider.collect()).toHaveLength(1);
    await clock.advance(200);
    expect(await provider.collect()).toEqual([]);
  });

  it('of observable instruments are those that are not observed', async () => {
    const { provider, meter } = standing();
    let ids = [1, 2];
    meter.createObservableGauge('g').addCallback((result) => {
      for (const id of ids) result.observe(id, { id });
    });
    expect(values(await collected<'gauge'>(provider, 'g'))).toEqual([
      [{ id: 1 }, 1],
      [{ id: 2 }, 2],
    ]);
    ids = [2];
    expect(values(await collected<'gauge'>(provider, 'g'))).toEqual([[{ id: 2 }, 2]]);
    ids = [];
    expect(await provider.collect()).toEqual([]);
  });
});

describe('a view', () => {
  it('keeps some attributes, and adds the series up that become one', async () => {
    const { provider, meter } = standing({ views: [{ instrument: 'http.*', attributes: ['route'] }] });
    const counter = meter.createCounter('http.calls');
    counter.add(1, { id: 1, route: '/a' });
    counter.add(2, { route: '/a', id: 2 });
    meter.createObservableCounter('http.bytes').addCallback((result) => {
      result.observe(10, { route: '/a', id: 1 });
      result.observe(20, { route: '/a', id: 2 });
    });
    for (let round = 0; round < 2; round++) {
      expect(values(await collected(provider, 'http.calls'))).toEqual([[{ route: '/a' }, 3]]);
      expect(values(await collected(provider, 'http.bytes'))).toEqual([[{ route: '/a' }, 30]]);
    }
  });

  it('renames, describes, and leaves out; the first that fits counts', async () => {
    const { provider, meter } = standing({
      views: [
        { instrument: 'a', meter: 'other', drop: true },
        { instrument: 'A', name: 'b', description: 'Renamed.' },
        { instrument: 'noise.*', drop: true },
        { instrument: '*', description: 'The rest.' },
      ],
    });
    meter.createCounter('a').add(1);
    meter.createCounter('noise.x').add(1);
    meter.createCounter('c').add(1);
    expect((await provider.collect()).map(({ name, description }) => [name, description])).toEqual([
      ['b', 'Renamed.'],
      ['c', 'The rest.'],
    ]);
  });
});
