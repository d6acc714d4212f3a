import { type Context, context, ROOT_CONTEXT, type SpanContext, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { afterEach, describe, expect, it } from 'vitest';
import { collected, standing } from './collected.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanOf = (id: number, traceFlags = 1): SpanContext => ({
  traceId,
  spanId: String(id).padStart(16, '0'),
  traceFlags,
});
const within = (id: number, traceFlags = 1): Context =>
  trace.setSpanContext(ROOT_CONTEXT, spanOf(id, traceFlags));

afterEach(() => context.disable());

describe('exemplars', () => {
  it('are the measurements of sampled spans, one for each bucket', async () => {
    const { clock, provider, meter } = standing();
    const histogram = meter.createHistogram('h', { advice: { explicitBucketBoundaries: [1, 2] } });
    histogram.record(0.5, {}, within(1, 0));
    histogram.record(0.6, {}, ROOT_CONTEXT);
    histogram.record(0.7, {}, within(2));
    histogram.record(0.8, {}, within(3));
    await clock.advance(5);
    histogram.record(9, {}, within(4));
    const [point] = (await collected<'histogram'>(provider, 'h')).points;
    expect(point?.count).toBe(5);
    expect(point?.exemplars).toEqual([
      { value: 0.7, atMs: 1_700_000_000_000, traceId, spanId: spanOf(2).spanId, attributes: {} },
      { value: 9, atMs: 1_700_000_000_005, traceId, spanId: spanOf(4).spanId, attributes: {} },
    ]);
  });

  it('stay until the next collection has seen a newer one, and not for ever', async () => {
    const { clock, provider, meter } = standing();
    const counter = meter.createCounter('c');
    const seen = async () =>
      (await collected(provider, 'c')).points.flatMap(({ exemplars }) => exemplars.map(({ value }) => value));
    counter.add(1, {}, within(1));
    counter.add(2, {}, within(2));
    expect(await seen()).toEqual([1]);
    expect(await seen()).toEqual([1]);
    counter.add(3, {}, within(3, 0));
    expect(await seen()).toEqual([1]);
    counter.add(4, {}, within(4));
    expect(await seen()).toEqual([4]);
    await clock.advance(301_000);
    expect(await seen()).toEqual([]);
  });

  it('are found in the active context', async () => {
    const { provider, meter } = standing();
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    context.with(within(7), () => meter.createCounter('c').add(1));
    const [point] = (await collected(provider, 'c')).points;
    expect(point?.exemplars[0]?.spanId).toBe(spanOf(7).spanId);
  });

  it('have the attributes that their series has not', async () => {
    const { provider, meter } = standing({
      seriesLimit: 2,
      views: [{ instrument: 'kept', attributes: ['route'] }],
    });
    meter.createCounter('kept').add(1, { route: '/a', user: 7, odd: {} } as never, within(1));
    const full = meter.createCounter('full');
    full.add(1, { id: 1 });
    full.add(1, { id: 2 }, within(2));
    const [kept] = (await collected(provider, 'kept')).points;
    expect([kept?.attributes, kept?.exemplars[0]?.attributes]).toEqual([{ route: '/a' }, { user: 7 }]);
    const [, overflow] = (await collected(provider, 'full')).points;
    expect(overflow?.exemplars[0]?.attributes).toEqual({ id: 2 });
  });

  it('are not kept of levels and gauges, nor when the option is off', async () => {
    const { meter, provider } = standing();
    meter.createUpDownCounter('level').add(1, {}, within(1));
    meter.createGauge('gauge').record(1, {}, within(1));
    const off = standing({ exemplars: false });
    off.meter.createCounter('c').add(1, {}, within(1));
    const all = [...(await provider.collect()), ...(await off.provider.collect())];
    expect(all.flatMap(({ points }) => points.flatMap(({ exemplars }) => exemplars))).toEqual([]);
    expect(all).toHaveLength(3);
  });

  it.each([[{}], ['context'], [{ getValue: () => ({ spanContext: 7 }) }]])(
    'survive a context that is none: %s',
    async (given) => {
      const { provider, meter } = standing();
      meter.createCounter('c').add(1, {}, given as unknown as Context);
      expect((await collected(provider, 'c')).points[0]).toMatchObject({ value: 1, exemplars: [] });
    },
  );
});
