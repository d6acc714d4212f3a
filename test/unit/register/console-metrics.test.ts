import { meters } from 'keelson/meter';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { consoleMetrics } from '../../../src/register/console-metrics.js';

const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

function set(histogram: 'explicit' | 'exponential') {
  const clock = manualClock();
  const provider = meters({ clock, histogram });
  const written: Record<string, unknown>[] = [];
  const writer = consoleMetrics(provider, {
    intervalMs: 1000,
    clock,
    write: async (text) => void written.push(...text.split('\n').map((line) => JSON.parse(line))),
  });
  return { clock, meter: provider.getMeter('user'), written, writer };
}

describe('metrics on the console', () => {
  it('come once an interval, a line for each', async () => {
    const { clock, meter, written, writer } = set('explicit');
    await clock.advance(1000);
    await settle();
    expect(written).toEqual([]);
    meter.createCounter('orders', { unit: '{order}' }).add(2, { shop: 'a' });
    meter.createGauge('load').record(0.5);
    await clock.advance(999);
    await settle();
    expect(written).toEqual([]);
    await clock.advance(1);
    await settle();
    expect(written).toEqual([
      {
        metric: 'orders',
        kind: 'sum',
        unit: '{order}',
        scope: 'user',
        at: new Date(clock.wallMs()).toISOString(),
        points: [{ attributes: { shop: 'a' }, value: 2 }],
      },
      expect.objectContaining({ metric: 'load', kind: 'gauge', points: [{ attributes: {}, value: 0.5 }] }),
    ]);
    await clock.advance(1000);
    await settle();
    expect(written).toHaveLength(4);
    writer.close();
    await clock.advance(5000);
    await settle();
    expect(written).toHaveLength(4);
    await writer.flush();
    expect(written).toHaveLength(6);
  });

  it.each(['explicit', 'exponential'] as const)(
    '%s histograms show the buckets that have something',
    async (kind) => {
      const { meter, written, writer } = set(kind);
      const durations = meter.createHistogram('d', { advice: { explicitBucketBoundaries: [1, 5, 10] } });
      for (const value of [0.5, 3, 4, 100]) durations.record(value);
      await writer.flush();
      expect(written).toMatchObject([
        {
          metric: 'd',
          points: [{ count: 4, sum: 107.5, min: 0.5, max: 100, buckets: { 1: 1, 5: 2, more: 1 } }],
        },
      ]);
    },
  );

  it('what cannot be collected or written is missing, and nobody else hears of it', async () => {
    const clock = manualClock();
    const failing = consoleMetrics(
      { collect: () => Promise.reject(new Error('no')) },
      { intervalMs: 1, clock, write: () => Promise.resolve() },
    );
    await expect(failing.flush()).resolves.toBeUndefined();
  });
});
