import { edgeMetrics, type ShownEdge } from 'keelson/telemetry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type MetricsSdk, metricsSdk } from '../../doubles/metrics-sdk.js';

let sdk: MetricsSdk;
beforeEach(() => {
  sdk = metricsSdk();
});
afterEach(() => sdk.stop());

const edge = (more: Partial<ShownEdge> = {}): ShownEdge => ({
  side: 'client',
  caller: 'orders',
  callee: 'users',
  operation: 'GET /users/:id',
  destination: undefined,
  tries: 4,
  durationMs: { sum: 1500, p50: 100, p95: 200, p99: 300 },
  ends: [
    { outcome: 'success', flag: '-', count: 2 },
    { outcome: 'unsent', flag: 'UO', count: 1 },
  ],
  ...more,
});

const named = {
  'keelson.edge.side': 'client',
  'keelson.edge.caller': 'orders',
  'keelson.edge.callee': 'users',
  'keelson.edge.operation': 'GET /users/:id',
};

describe('edgeMetrics', () => {
  it('counts calls by how they ended, tries and time since the start', async () => {
    edgeMetrics((period) => (period === 'total' ? [edge()] : []), sdk.provider);
    expect(await sdk.points('keelson.edge.calls')).toEqual([
      { attributes: { ...named, 'keelson.outcome': 'success', 'keelson.response.flag': '-' }, value: 2 },
      { attributes: { ...named, 'keelson.outcome': 'unsent', 'keelson.response.flag': 'UO' }, value: 1 },
    ]);
    expect(await sdk.points('keelson.edge.tries')).toEqual([{ attributes: named, value: 4 }]);
    expect(await sdk.points('keelson.edge.time')).toEqual([{ attributes: named, value: 1.5 }]);
    expect(await sdk.points('keelson.edge.duration')).toEqual([]);
  });

  it('shows quantiles of the last window, in seconds', async () => {
    edgeMetrics((period) => (period === 'last' ? [edge()] : []), sdk.provider);
    expect(await sdk.points('keelson.edge.duration')).toEqual([
      { attributes: { ...named, 'keelson.quantile': '0.5' }, value: 0.1 },
      { attributes: { ...named, 'keelson.quantile': '0.95' }, value: 0.2 },
      { attributes: { ...named, 'keelson.quantile': '0.99' }, value: 0.3 },
    ]);
  });

  it('names where messages wait', async () => {
    edgeMetrics(() => [edge({ side: 'producer', destination: 'mails' })], sdk.provider);
    const [point] = await sdk.points('keelson.edge.tries');
    expect(point?.attributes['messaging.destination.name']).toBe('mails');
  });

  it('is read when a reader collects, and never again when it was stopped', async () => {
    let reads = 0;
    const { stop, refresh } = edgeMetrics(() => {
      reads++;
      return [];
    }, sdk.provider);
    refresh();
    expect(reads).toBe(0);
    await sdk.collect();
    expect(reads).toBe(2);
    stop();
    stop();
    refresh();
    await sdk.collect();
    expect(reads).toBe(2);
  });

  it('shows itself to an SDK that was registered later', async () => {
    const { refresh, stop } = edgeMetrics(() => [edge()]);
    sdk.register();
    expect(await sdk.points('keelson.edge.tries')).toEqual([]);
    refresh();
    expect(await sdk.points('keelson.edge.tries')).toHaveLength(1);
    stop();
  });

  describe('of several in one process', () => {
    const success = (count: number) => ({ outcome: 'success', flag: '-', count }) as const;
    const fast = { sum: 500, p50: 1, p95: 2, p99: 3 };
    const own = edge({ operation: 'POST /orders', tries: 1, ends: [success(1)] });
    const broken = () => {
      throw new Error('a bug');
    };

    it('adds up what both have counted of an edge, and shows each series once', async () => {
      edgeMetrics((period) => (period === 'total' ? [edge()] : []), sdk.provider);
      edgeMetrics(broken, sdk.provider);
      const more = edge({ tries: 3, durationMs: fast, ends: [success(3)] });
      edgeMetrics((period) => (period === 'total' ? [more, own] : []), sdk.provider);
      const calls = await sdk.points('keelson.edge.calls');
      expect(
        calls.map(({ attributes, value }) => [
          attributes['keelson.edge.operation'],
          attributes['keelson.outcome'],
          value,
        ]),
      ).toEqual([
        ['GET /users/:id', 'success', 5],
        ['GET /users/:id', 'unsent', 1],
        ['POST /orders', 'success', 1],
      ]);
      expect((await sdk.points('keelson.edge.tries')).map(({ value }) => value)).toEqual([7, 1]);
      expect((await sdk.points('keelson.edge.time')).map(({ value }) => value)).toEqual([2, 1.5]);
    });

    it('shows the quantiles of the one with more calls', async () => {
      const rare = edge({ durationMs: fast, ends: [success(2)] });
      for (const one of [rare, edge(), rare])
        edgeMetrics((period) => (period === 'last' ? [one] : []), sdk.provider);
      const points = await sdk.points('keelson.edge.duration');
      expect(points.map(({ value }) => value)).toEqual([0.1, 0.2, 0.3]);
    });

    it('keeps what one had counted that stops, where the others go on: no sum falls', async () => {
      const both = (count: number) => edge({ tries: count, ends: [success(count)] });
      let seconds = 2;
      const first = edgeMetrics((period) => (period === 'total' ? [both(5), own] : []), sdk.provider);
      const second = edgeMetrics((period) => (period === 'total' ? [both(seconds)] : []), sdk.provider);
      const tries = async () => (await sdk.points('keelson.edge.tries'))[0]?.value;
      expect(await tries()).toBe(7);
      first.stop();
      expect(await tries()).toBe(7);
      seconds = 3;
      expect(await tries()).toBe(8);
      second.stop();
    });

    it('goes on with the others when one stops', async () => {
      const first = edgeMetrics(() => [edge()], sdk.provider);
      const second = edgeMetrics(() => [own], sdk.provider);
      first.stop();
      first.stop();
      first.refresh();
      expect((await sdk.points('keelson.edge.tries')).map(({ value }) => value)).toEqual([1]);
      second.stop();
      const third = edgeMetrics(() => [edge({ tries: 9 })], sdk.provider);
      second.stop();
      expect((await sdk.points('keelson.edge.tries')).map(({ value }) => value)).toContain(9);
      third.stop();
    });
  });

  it('costs the other metrics nothing when it throws', async () => {
    const counter = sdk.provider.getMeter('other').createCounter('other');
    counter.add(1);
    edgeMetrics(() => {
      throw new Error('a bug');
    }, sdk.provider);
    expect(await sdk.points('other')).toHaveLength(1);
  });
});
