import { createNoopMeter, metrics as metricsApi } from '@opentelemetry/api';
import {
  AggregationTemporality,
  type DataPoint,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  compose,
  createCall,
  fork,
  type Handler,
  handlerError,
  type Outcome,
  type Protocol,
  refusal,
} from 'keelson/core';

import { createBus } from 'keelson/stack';
import {
  attemptMetrics,
  governanceMetrics,
  type HttpServerExchange,
  httpClientSemantics,
  httpServerSemantics,
  loadMetrics,
  metrics,
} from 'keelson/telemetry';
import { manualClock } from 'keelson/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clientCall } from '../../doubles/traced-services.js';

interface Question {
  readonly method: string;
}
interface Answer {
  readonly status: number;
}

let exporter: InMemoryMetricExporter;
let provider: MeterProvider;

const register = () => {
  exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 });
  provider = new MeterProvider({ readers: [reader] });
  metricsApi.setGlobalMeterProvider(provider);
};
beforeEach(register);
afterEach(async () => {
  metricsApi.disable();
  await provider.shutdown();
});

async function collected(): Promise<Map<string, MetricData>> {
  exporter.reset();
  await provider.forceFlush();
  const [latest] = exporter.getMetrics();
  const found = new Map<string, MetricData>();
  for (const scope of latest?.scopeMetrics ?? [])
    for (const metric of scope.metrics) found.set(metric.descriptor.name, metric);
  return found;
}

const pointsOf = (metric: MetricData | undefined) =>
  (metric?.dataPoints ?? []).map(({ attributes, value }: DataPoint<unknown>) => ({ attributes, value }));

const call = (operation = 'GET /orders/:id') => createCall({ side: 'server', service: 'shop', operation });
const exchange = (statusCode = 200, method = 'GET'): HttpServerExchange => ({
  req: { method, url: '/orders/1', headers: {} },
  res: { statusCode },
});

describe('metrics', () => {
  it('measures a server under the stable name, in seconds, with the buckets that are advised', async () => {
    const clock = manualClock();
    const handler = compose<HttpServerExchange, HttpServerExchange>(
      [metrics({ side: 'server', semantics: httpServerSemantics, clock })],
      (it) => {
        clock.advanceSync(30);
        return Promise.resolve(it);
      },
    );
    await handler(exchange(), call());
    const duration = (await collected()).get('http.server.request.duration');
    expect(duration?.descriptor.unit).toBe('s');
    const [point] = duration?.dataPoints ?? [];
    expect(point?.attributes).toEqual({
      'http.request.method': 'GET',
      'http.route': '/orders/:id',
      'http.response.status_code': 200,
      'url.scheme': 'http',
    });
    expect(point?.value).toMatchObject({
      count: 1,
      sum: 0.03,
      buckets: {
        boundaries: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
      },
    });
  });

  it('measures to the end of the body, once; a clock that steps back measures nothing below 0', async () => {
    const clock = manualClock(1000);
    const ends: ((outcome: Outcome) => void)[] = [];
    const protocol: Protocol<Question, Answer> = {
      classify: () => 'success',
      onEnd: (_, done) => ends.push(done) > 0,
    };
    const handler = compose<Question, Answer>(
      [metrics({ side: 'client', semantics: httpClientSemantics, protocol, clock })],
      () => Promise.resolve({ status: 200 }),
    );
    await handler({ method: 'GET' }, clientCall());
    const under = await collected();
    expect(under.get('http.client.request.duration')).toBeUndefined();
    expect(pointsOf(under.get('http.client.active_requests'))).toEqual([
      { attributes: { 'http.request.method': 'GET', 'server.address': 'users' }, value: 1 },
    ]);
    clock.advanceSync(-500);
    for (const end of [...ends, ...ends]) end('success');
    const over = await collected();
    expect(over.get('http.client.request.duration')?.dataPoints[0]?.value).toMatchObject({
      count: 1,
      sum: 0,
    });
    expect(over.get('http.client.active_requests')?.dataPoints[0]?.value).toBe(0);
  });

  it('measures calls that were refused or failed, and counts our own refusals only', async () => {
    const outcomes: (() => Promise<Answer>)[] = [
      () => Promise.resolve({ status: 503 }),
      () => Promise.reject(refusal('BREAKER_OPEN', 'open', { side: 'client' })),
      () => Promise.reject(refusal('BREAKER_OPEN', 'open', { side: 'client' })),
      () => Promise.reject(refusal('OVERLOADED', 'theirs', { side: 'server' })),
      () => {
        throw new RangeError('at once');
      },
    ];
    const handler = compose<Question, Answer>(
      [metrics<Question, Answer>({ side: 'client', semantics: httpClientSemantics })],
      () => (outcomes.shift() as () => Promise<Answer>)(),
    );
    for (const left = outcomes.length, calls = Array.from({ length: left }); calls.length > 0; calls.pop())
      await handler({ method: 'PROPFIND' }, clientCall('PROPFIND')).catch(() => undefined);
    const all = await collected();
    const byType = Object.fromEntries(
      (all.get('http.client.request.duration')?.dataPoints ?? []).map(({ attributes, value }) => [
        `${attributes['http.request.method']} ${attributes['error.type']}`,
        (value as { count: number }).count,
      ]),
    );
    expect(byType).toEqual({
      '_OTHER 503': 1,
      '_OTHER BREAKER_OPEN': 2,
      '_OTHER OVERLOADED': 1,
      '_OTHER RangeError': 1,
    });
    expect(pointsOf(all.get('keelson.rejections'))).toEqual([
      {
        attributes: {
          'keelson.rejection': 'BREAKER_OPEN',
          'keelson.side': 'client',
          'keelson.service': 'users',
        },
        value: 2,
      },
    ]);
    expect(all.get('http.client.active_requests')?.dataPoints[0]?.value).toBe(0);
  });

  it('counts refusals that were answered inside', async () => {
    const handler = compose<HttpServerExchange, HttpServerExchange>(
      [metrics({ side: 'server', semantics: httpServerSemantics, activeRequests: false })],
      (it, served) => {
        served.values.set(handlerError, refusal('OVERLOADED', 'too much', { side: 'server' }));
        return Promise.resolve(it);
      },
    );
    await handler(exchange(503), call());
    const all = await collected();
    expect(pointsOf(all.get('keelson.rejections'))[0]?.attributes['keelson.rejection']).toBe('OVERLOADED');
    expect(all.get('http.server.request.duration')?.dataPoints[0]?.attributes['error.type']).toBe('503');
    expect(all.has('http.server.active_requests')).toBe(false);
  });

  it('begins when an SDK is registered, and moves to another', async () => {
    metricsApi.disable();
    const answer: Handler<Question, Answer> = () => Promise.resolve({ status: 200 });
    const handler = compose<Question, Answer>(
      [metrics<Question, Answer>({ side: 'client', semantics: httpClientSemantics })],
      answer,
    );
    await handler({ method: 'GET' }, clientCall());
    metricsApi.setGlobalMeterProvider(provider);
    await handler({ method: 'GET' }, clientCall());
    const count = async () => {
      const [point] = (await collected()).get('http.client.request.duration')?.dataPoints ?? [];
      return point?.value;
    };
    expect(await count()).toMatchObject({ count: 1 });
    metricsApi.disable();
    await provider.shutdown();
    register();
    await handler({ method: 'GET' }, clientCall());
    expect(await count()).toMatchObject({ count: 1 });
  });

  it('a semantics that throws costs the measurement and nothing else', async () => {
    const broken = {
      ...httpClientSemantics,
      activeAttributes: () => {
        throw new Error('mine');
      },
      durationAttributes: () => {
        throw new Error('mine');
      },
    };
    const handler = compose<Question, Answer>(
      [metrics<Question, Answer>({ side: 'client', semantics: broken })],
      () => Promise.resolve({ status: 200 }),
    );
    await expect(handler({ method: 'GET' }, clientCall())).resolves.toEqual({ status: 200 });
    expect((await collected()).get('http.client.active_requests')?.dataPoints[0]?.value).toBe(0);
  });
});

describe('attemptMetrics', () => {
  it('counts tries, and those beyond the first', async () => {
    const send = attemptMetrics<Question, Answer>()(() => Promise.resolve({ status: 200 }));
    const first = clientCall();
    await send({ method: 'GET' }, first);
    await send({ method: 'GET' }, fork(first));
    await send({ method: 'GET' }, clientCall());
    const all = await collected();
    expect(pointsOf(all.get('keelson.attempts'))).toEqual([
      { attributes: { 'keelson.service': 'users' }, value: 3 },
    ]);
    expect(pointsOf(all.get('keelson.retries'))).toEqual([
      { attributes: { 'keelson.service': 'users' }, value: 1 },
    ]);
  });
});

describe('governanceMetrics', () => {
  it('counts what is told on the bus, until it is stopped', async () => {
    const bus = createBus();
    const stop = governanceMetrics(bus, { clock: manualClock() });
    const service = 'users';
    bus.emit('breaker', { service, endpoint: 'e1', from: 'closed', to: 'open' });
    bus.emit('breaker', { service, endpoint: 'e2', from: 'closed', to: 'open' });
    bus.emit('shedding', { service, shedding: true });
    bus.emit('shedding', { service, shedding: false });
    bus.emit('rejected', { service, code: 'OVERLOADED', count: 40 });
    bus.emit('rejected', { service, code: 'OVERLOADED', count: 2 });
    bus.emit('ejection', { service, endpoint: 'e1', ejected: true, reason: 'failures' });
    bus.emit('ejection', { service, endpoint: 'e1', ejected: false, reason: 'time' });
    bus.emit('instances', { service, joined: ['e1', 'e2'], left: [], size: 2 });
    bus.emit('instances', { service, joined: [], left: ['e1'], size: 1 });
    bus.emit('resolver', { service, stale: true, reason: 'away' });
    bus.emit('fault', { where: 'onRetry', error: new Error('x') });
    const all = await collected();
    const told = Object.fromEntries([...all].map(([name, metric]) => [name, pointsOf(metric)]));
    expect(told).toEqual({
      'keelson.breaker.transitions': [
        { attributes: { 'keelson.service': service, 'keelson.breaker.state': 'open' }, value: 2 },
      ],
      'keelson.shedding.episodes': [{ attributes: { 'keelson.service': service }, value: 1 }],
      'keelson.rejected': [
        { attributes: { 'keelson.service': service, 'keelson.rejection.code': 'OVERLOADED' }, value: 42 },
      ],
      'keelson.ejections': [
        { attributes: { 'keelson.service': service, 'keelson.ejection.reason': 'failures' }, value: 1 },
      ],
      'keelson.faults': [{ attributes: { 'keelson.fault.where': 'onRetry' }, value: 1 }],
      'keelson.instances': [{ attributes: { 'keelson.service': service }, value: 1 }],
      'keelson.resolver.stale': [{ attributes: { 'keelson.service': service }, value: 1 }],
      'keelson.resolver.age': [{ attributes: { 'keelson.service': service }, value: 0 }],
    });
    stop();
    bus.emit('shedding', { service, shedding: true });
    const later = await collected();
    expect(pointsOf(later.get('keelson.shedding.episodes'))).toEqual([
      { attributes: { 'keelson.service': service }, value: 1 },
    ]);
  });

  it('leaves nothing with the meter of an app that is gone', () => {
    const asked = new Set<unknown>();
    const gauge = {
      addCallback: (callback: unknown) => void asked.add(callback),
      removeCallback: (callback: unknown) => void asked.delete(callback),
    };
    const meter = { ...createNoopMeter(), createCounter: () => ({}), createObservableGauge: () => gauge };
    const bus = createBus();
    const stop = governanceMetrics(bus, { meterProvider: { getMeter: () => meter } as never });
    bus.emit('instances', { service: 'users', joined: ['e1'], left: [], size: 1 });
    expect(asked.size).toBe(3);
    stop();
    expect(asked.size).toBe(0);
  });

  it('says nothing and fails nothing without an SDK', () => {
    metricsApi.disable();
    const bus = createBus();
    const faults: unknown[] = [];
    bus.on('fault', (event) => void faults.push(event));
    const stop = governanceMetrics(bus);
    bus.emit('shedding', { service: 'users', shedding: true });
    stop();
    expect(faults).toEqual([]);
  });
});

describe('loadMetrics', () => {
  const load = { backlogMs: 3.2, serviceMs: 2.9, inflight: 17, cpuRatio: 0.42 };
  const shown = async () =>
    Object.fromEntries([...(await collected())].map(([name, metric]) => [name, pointsOf(metric)[0]?.value]));

  it('shows the load as it is when somebody looks, until it is stopped', async () => {
    let now: object = load;
    let reads = 0;
    const { stop } = loadMetrics('shop', () => {
      reads++;
      return now;
    });
    expect(await shown()).toEqual({
      'keelson.server.backlog': 0.0032,
      'keelson.server.service_time': 0.0029,
      'keelson.server.inflight': 17,
      'keelson.server.utilization': 0.42,
      'keelson.server.admitted': 1,
      'keelson.server.throttled': 0,
    });
    const backlog = (await collected()).get('keelson.server.backlog');
    expect(backlog?.descriptor.unit).toBe('s');
    expect(pointsOf(backlog)[0]?.attributes).toEqual({ 'keelson.service': 'shop' });
    now = { ...load, admitRatio: 0.5, throttledRatio: 0.3 };
    expect(await shown()).toMatchObject({ 'keelson.server.admitted': 0.5, 'keelson.server.throttled': 0.3 });
    stop();
    reads = 0;
    await collected();
    expect(reads).toBe(0);
  });

  it('finds an SDK that comes late, and another one after that', async () => {
    metricsApi.disable();
    const { refresh, stop } = loadMetrics('shop', () => load);
    register();
    expect(await shown()).toEqual({});
    refresh();
    expect(await shown()).toMatchObject({ 'keelson.server.inflight': 17 });
    metricsApi.disable();
    register();
    refresh();
    expect(await shown()).toMatchObject({ 'keelson.server.inflight': 17 });
    stop();
  });

  it('shows nothing any more once it is stopped, whichever SDK comes', async () => {
    metricsApi.disable();
    const { refresh, stop } = loadMetrics('shop', () => load);
    stop();
    register();
    refresh();
    expect(await shown()).toEqual({});
  });
});
