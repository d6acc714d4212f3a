import { createBus } from 'keelson/stack';
import {
  type GovernanceState,
  governanceGauges,
  governanceMetrics,
  type ShownClient,
  type ShownEndpoint,
} from 'keelson/telemetry';
import { manualClock } from 'keelson/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type MetricsSdk, metricsSdk } from '../../doubles/metrics-sdk.js';

let sdk: MetricsSdk;
beforeEach(() => {
  sdk = metricsSdk();
});
afterEach(() => sdk.stop());

const endpoint = (id: string, more: Partial<ShownEndpoint> = {}): ShownEndpoint => ({
  id,
  inflight: 1,
  load: 0.5,
  ejected: false,
  breaker: { state: 'closed', refusalRatio: 0 },
  ...more,
});
const tries = { available: 3, withdrawn: 2, refused: 1, hedges: 1 };
const users: ShownClient = {
  service: 'users',
  endpoints: [endpoint('a'), endpoint('b', { ejected: true, breaker: { state: 'open', refusalRatio: 0.5 } })],
  tries,
};

const state: GovernanceState = {
  clients: [users],
  limiters: [
    {
      service: 'shop',
      side: 'server',
      name: 'queue',
      limit: Number.POSITIVE_INFINITY,
      inflight: 4,
      queued: 2,
    },
    { service: 'users', side: 'client', name: 'limits[0]', limit: 10, inflight: 3, queued: undefined },
  ],
};

async function valuesOf(name: string, label?: string): Promise<unknown> {
  const points = await sdk.points(name);
  if (label === undefined) return points.map(({ value }) => value);
  return Object.fromEntries(points.map(({ attributes, value }) => [attributes[label], value]));
}

describe('governanceGauges', () => {
  it('shows endpoints, breakers and budgets of each service', async () => {
    governanceGauges(() => state, { meterProvider: sdk.provider });
    expect(await valuesOf('keelson.endpoints', 'keelson.endpoint.state')).toEqual({
      available: 1,
      ejected: 1,
    });
    expect(await valuesOf('keelson.breaker.endpoints', 'keelson.breaker.state')).toEqual({
      closed: 1,
      open: 1,
      'half-open': 0,
    });
    expect(await valuesOf('keelson.breaker.refusal_ratio', 'keelson.service')).toEqual({ users: 0.25 });
    expect(await valuesOf('keelson.retry.budget', 'keelson.service')).toEqual({ users: 3 });
    expect(await valuesOf('keelson.retry.withdrawn')).toEqual([2]);
    expect(await valuesOf('keelson.retry.exhausted')).toEqual([1]);
    expect(await valuesOf('keelson.hedges')).toEqual([1]);
  });

  it('shows limits that there are', async () => {
    governanceGauges(() => state, { meterProvider: sdk.provider });
    expect(await valuesOf('keelson.limiter.limit', 'keelson.limiter')).toEqual({ 'limits[0]': 10 });
    expect(await valuesOf('keelson.limiter.inflight', 'keelson.limiter')).toEqual({
      queue: 4,
      'limits[0]': 3,
    });
    expect(await valuesOf('keelson.limiter.queued', 'keelson.limiter')).toEqual({ queue: 2 });
  });

  it('shows clients of one service as one', async () => {
    governanceGauges(() => ({ clients: [users, users], limiters: [] }), { meterProvider: sdk.provider });
    expect(await valuesOf('keelson.endpoints', 'keelson.endpoint.state')).toEqual({
      available: 2,
      ejected: 2,
    });
    expect(await valuesOf('keelson.retry.withdrawn')).toEqual([4]);
  });

  it('shows endpoints by themselves only when asked', async () => {
    const { stop } = governanceGauges(() => state, { meterProvider: sdk.provider });
    expect(await valuesOf('keelson.endpoint.inflight')).toEqual([]);
    stop();
    governanceGauges(() => ({ clients: [users, users], limiters: [] }), {
      perEndpoint: true,
      meterProvider: sdk.provider,
    });
    expect(await valuesOf('keelson.endpoint.inflight', 'keelson.endpoint')).toEqual({ a: 2, b: 2 });
    expect(await valuesOf('keelson.endpoint.load', 'keelson.endpoint')).toEqual({ a: 0.5, b: 0.5 });
  });

  it('says nothing of breakers that tell nothing', async () => {
    const quiet = { ...users, endpoints: [endpoint('a', { breaker: undefined, load: undefined })] };
    governanceGauges(() => ({ clients: [quiet], limiters: [] }), { meterProvider: sdk.provider });
    expect(await valuesOf('keelson.breaker.endpoints')).toEqual([]);
    expect(await valuesOf('keelson.breaker.refusal_ratio')).toEqual([]);
  });
});

describe('governanceMetrics', () => {
  it('shows for how long a list of instances is stale, and counts what the registry tells', async () => {
    sdk = metricsSdk('DELTA');
    const bus = createBus();
    const clock = manualClock();
    const stop = governanceMetrics(bus, { meterProvider: sdk.provider, clock });
    const tell = (stale: boolean) => bus.emit('resolver', { service: 'users', stale, reason: undefined });
    bus.emit('registry', { service: 'shop', type: 'registered', reason: undefined });
    tell(true);
    clock.advanceSync(5000);
    tell(true);
    clock.advanceSync(2500);
    const first = await sdk.collect();
    const [age] = first.get('keelson.resolver.age')?.dataPoints ?? [];
    expect(age).toMatchObject({ attributes: { 'keelson.service': 'users' }, value: 7.5 });
    const [told] = first.get('keelson.registry.events')?.dataPoints ?? [];
    expect(told).toMatchObject({ attributes: { 'keelson.registry.event': 'registered' }, value: 1 });
    tell(false);
    clock.advanceSync(1000);
    expect(await valuesOf('keelson.resolver.age')).toEqual([0]);
    tell(true);
    clock.advanceSync(-9000);
    expect(await valuesOf('keelson.resolver.age')).toEqual([0]);
    stop();
    expect(await valuesOf('keelson.resolver.age')).toEqual([]);
  });
});
