import { runtimeMetrics } from 'keelson/telemetry';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type MetricsSdk, metricsSdk } from '../../doubles/metrics-sdk.js';

let sdk: MetricsSdk;
beforeEach(() => {
  sdk = metricsSdk();
});
afterEach(() => sdk.stop());

describe('runtimeMetrics', () => {
  it('shows loop, heap, memory and CPU by the names of the conventions', async () => {
    const { stop } = runtimeMetrics(sdk.provider);
    await sdk.collect();
    const delays = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'];
    await vi.waitFor(async () => {
      const found = await sdk.collect();
      for (const field of delays) expect(found.has(`nodejs.eventloop.delay.${field}`)).toBe(true);
    });
    const found = await sdk.collect();
    const unitOf = (name: string) => found.get(name)?.descriptor.unit;
    expect(unitOf('nodejs.eventloop.time')).toBe('s');
    expect(unitOf('process.cpu.time')).toBe('s');
    expect(unitOf('process.uptime')).toBe('s');
    for (const name of ['heap.limit', 'heap.used', 'heap.space.available_size', 'heap.space.physical_size'])
      expect(unitOf(`v8js.memory.${name}`)).toBe('By');
    const [resident] = await sdk.points('process.memory.usage');
    expect(resident?.value).toBeGreaterThan(1e6);
    const spaces = (await sdk.points('v8js.memory.heap.used')).map(
      ({ attributes }) => attributes['v8js.heap.space.name'],
    );
    expect(spaces).toContain('old_space');
    const states = (await sdk.points('nodejs.eventloop.time')).map(
      ({ attributes }) => attributes['nodejs.eventloop.state'],
    );
    expect(states).toEqual(['active', 'idle']);
    stop();
  });

  it('measures pauses for garbage, by kind', async () => {
    const { stop } = runtimeMetrics(sdk.provider);
    let garbage: unknown[] = [];
    await vi.waitFor(
      async () => {
        for (let i = 0; i < 200_000; i++) garbage.push({ i });
        garbage = [];
        const [pause] = await sdk.points('v8js.gc.duration');
        expect(pause?.attributes['v8js.gc.type']).toMatch(/^(minor|major|incremental|weakcb|other)$/);
        expect(pause?.value).toMatchObject({ buckets: { boundaries: [0.01, 0.1, 1, 10] } });
      },
      { timeout: 10_000 },
    );
    stop();
  });

  it('is one for all who ask, and goes with the last', async () => {
    sdk = metricsSdk('DELTA');
    const [first, second] = [runtimeMetrics(sdk.provider), runtimeMetrics(sdk.provider)];
    expect(await sdk.points('process.uptime')).toHaveLength(1);
    first.stop();
    first.stop();
    expect(await sdk.points('process.uptime')).toHaveLength(1);
    second.stop();
    expect(await sdk.points('process.uptime')).toEqual([]);
  });

  it('is one also for another copy of the package', async () => {
    const asked = vi.spyOn(sdk.provider, 'getMeter');
    const first = runtimeMetrics(sdk.provider);
    const before = asked.mock.calls.length;
    vi.resetModules();
    const copy = await import('keelson/telemetry');
    expect(copy.runtimeMetrics).not.toBe(runtimeMetrics);
    const second = copy.runtimeMetrics(sdk.provider);
    expect(asked.mock.calls.length).toBe(before);
    first.stop();
    expect(await sdk.points('process.uptime')).toHaveLength(1);
    second.stop();
  });

  it('shows itself to an SDK that was registered later', async () => {
    sdk = metricsSdk('DELTA');
    const { refresh, stop } = runtimeMetrics();
    sdk.register();
    refresh();
    expect(await sdk.points('process.uptime')).toHaveLength(1);
    stop();
    refresh();
    expect(await sdk.points('process.uptime')).toEqual([]);
  });
});
