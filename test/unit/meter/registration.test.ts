import { createNoopMeter, type Meter, ValueType } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { collected, hearDiag, standing, values } from './collected.js';

let diag: ReturnType<typeof hearDiag>;
beforeEach(() => {
  diag = hearDiag();
});
afterEach(() => diag.stop());

const dead = createNoopMeter();

describe('names', () => {
  it.each(['a', 'A.b-c_d/e9', 'x'.repeat(255)])('%s is one', (name) => {
    const { meter } = standing();
    expect(meter.createCounter(name)).not.toBe(dead.createCounter(''));
    expect(diag.heard).toEqual([]);
  });

  it.each(['', '1a', '_a', 'a b', 'ä', 'a{b}', 'x'.repeat(256), undefined, 7])(
    '%s is none: told of, and dead',
    async (name) => {
      const { provider, meter } = standing();
      const counter = meter.createCounter(name as string);
      meter.createObservableGauge(name as string).addCallback((result) => result.observe(1));
      counter.add(1);
      expect(counter).toBe(dead.createCounter(''));
      expect(await provider.collect()).toEqual([]);
      expect(diag.heard).toHaveLength(1);
    },
  );
});

type Make = (meter: Meter) => unknown;

describe('an instrument that is made twice', () => {
  it.each<[string, Make, Make]>([
    ['counter', (m) => m.createCounter('a'), (m) => m.createCounter('a')],
    ['gauge', (m) => m.createGauge('a', { unit: 's' }), (m) => m.createGauge('a', { unit: 's' })],
    [
      'histogram',
      (m) => m.createHistogram('a'),
      (m) => m.createHistogram('a', { advice: { explicitBucketBoundaries: [1] } }),
    ],
    ['observable', (m) => m.createObservableCounter('a'), (m) => m.createObservableCounter('a')],
  ])('as the same %s is one', (_, first, second) => {
    const { meter } = standing();
    expect(second(meter)).toBe(first(meter));
    expect(diag.heard).toEqual([]);
  });

  it('in another case of letters is one, by its first name, and told of', async () => {
    const { provider, meter } = standing();
    meter.createCounter('http.Calls').add(1);
    meter.createCounter('HTTP.calls').add(1);
    expect(values(await collected(provider, 'http.Calls'))).toEqual([[{}, 2]]);
    expect(diag.heard).toHaveLength(1);
  });

  it('with another description is one, with the longer one, and told of', async () => {
    const { provider, meter } = standing();
    for (const description of ['Calls.', 'Calls, all of them.', 'Calls!']) {
      meter.createCounter('calls', { description }).add(1);
    }
    expect(await collected(provider, 'calls')).toMatchObject({ description: 'Calls, all of them.' });
    expect(diag.heard).toHaveLength(1);
  });

  it.each<[string, Make, Make]>([
    ['kind', (m) => m.createCounter('a'), (m) => m.createUpDownCounter('a')],
    ['unit', (m) => m.createCounter('a', { unit: 's' }), (m) => m.createCounter('a', { unit: 'ms' })],
    ['type of value', (m) => m.createCounter('a'), (m) => m.createCounter('a', { valueType: ValueType.INT })],
    ['way of measuring', (m) => m.createCounter('a'), (m) => m.createObservableCounter('a')],
  ])('with another %s is two, and told of', async (_, first, second) => {
    const { provider, meter } = standing();
    const pair = [first(meter), second(meter)] as { add?(value: number): void; addCallback?: unknown }[];
    expect(pair[0]).not.toBe(pair[1]);
    for (const instrument of pair) instrument.add?.(1);
    if (pair[1]?.addCallback !== undefined)
      meter.createObservableCounter('a').addCallback((r) => r.observe(1));
    expect((await provider.collect()).map(({ name }) => name)).toEqual(['a', 'a']);
    expect(diag.heard.filter((message) => message.includes('made twice and differently'))).toHaveLength(1);
  });

  it('in another meter is another', async () => {
    const { provider } = standing();
    provider.getMeter('a').createCounter('calls').add(1);
    provider.getMeter('b').createCounter('calls').add(1);
    expect((await provider.collect()).map(({ scope }) => scope.name)).toEqual(['a', 'b']);
    expect(diag.heard).toEqual([]);
  });
});

describe('what a logger throws', () => {
  it('stays there', async () => {
    diag.stop();
    const { diag: api } = await import('@opentelemetry/api');
    const boom = (): never => {
      throw new Error('logger');
    };
    api.setLogger({ error: boom, warn: boom, info: () => {}, debug: () => {}, verbose: () => {} });
    const { meter } = standing();
    expect(() => meter.createCounter('calls').add(-1)).not.toThrow();
  });
});
