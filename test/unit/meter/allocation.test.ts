import v8 from 'node:v8';
import vm from 'node:vm';
import { type Attributes, type Meter, ROOT_CONTEXT } from '@opentelemetry/api';
import { meters } from 'keelson/meter';
import { describe, expect, it } from 'vitest';

v8.setFlagsFromString('--expose-gc');
const gc = vm.runInNewContext('gc') as () => void;

const runs = 2_000;
const rounds = 12;
/**
 * No object, text or list. Numbers that are no small integers are put into boxes of 16 bytes wherever they are handed over and
 * the engine has not made one of caller and callee, which it does rarely here: each module is behind a getter of the test
 * runner.
 */
const nothing = 96;

/**
 * Bytes that one call leaves on the heap: the lower quartile of several rounds, those left out in which garbage was collected.
 */
function bytesPerRun(run: (turn: number) => void): number {
  gc();
  const seen: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = v8.getHeapStatistics().used_heap_size;
    for (let turn = 0; turn < runs; turn++) run(turn);
    const bytes = v8.getHeapStatistics().used_heap_size - before;
    if (bytes >= 0) seen.push(bytes / runs);
  }
  return seen.sort((a, b) => a - b)[seen.length >> 2] as number;
}

/** The same once the engine has compiled it, which on a busy machine may take a while. */
function settledBytesPerRun(run: (turn: number) => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 10 && !(least < nothing); tries++) least = Math.min(least, bytesPerRun(run));
  return least;
}

const attributeSets: readonly Attributes[] = Array.from({ length: 40 }, (_, at) => ({
  'http.request.method': at % 2 === 0 ? 'GET' : 'POST',
  'http.route': `/users/${at % 10}`,
  'http.response.status_code': 200 + (at % 4),
}));

/** Measures with objects that are there, so that what is counted is the meter's own. */
function measuring(meter: Meter): (turn: number) => void {
  const counter = meter.createCounter('c');
  const histogram = meter.createHistogram('h', { unit: 's' });
  return (turn) => {
    const attributes = attributeSets[turn % attributeSets.length] as Attributes;
    counter.add(1, attributes, ROOT_CONTEXT);
    histogram.record((turn % 1000) / 1000, attributes, ROOT_CONTEXT);
  };
}

describe('recording', () => {
  it('allocates nothing for attributes that were seen', () => {
    const ours = settledBytesPerRun(measuring(meters().getMeter('m')));
    expect(ours).toBeLessThan(nothing);
  });

  it('in exponential histograms too', () => {
    const ours = settledBytesPerRun(measuring(meters({ histogram: 'exponential' }).getMeter('m')));
    expect(ours).toBeLessThan(nothing);
  });
});

describe('what is remembered', () => {
  it('is every order of names that comes', () => {
    const counter = meters().getMeter('m').createCounter('c');
    const orders: readonly Attributes[] = [
      { a: 1, b: 2, c: 3 },
      { b: 2, a: 1, c: 3 },
      { c: 3, b: 2, a: 1 },
    ];
    const bytes = settledBytesPerRun((turn) => counter.add(1, orders[turn % 3] as Attributes, ROOT_CONTEXT));
    expect(bytes).toBeLessThan(nothing);
  });

  it('stays bounded when the names never end', () => {
    const counter = meters({ seriesLimit: 2 }).getMeter('m').createCounter('c');
    const heapAfter = (turns: number): number => {
      // Of no value, so that all are one series, each by another way.
      for (let turn = 0; turn < turns; turn++) counter.add(1, { [`k${turn}`]: undefined } as Attributes);
      gc();
      return v8.getHeapStatistics().used_heap_size;
    };
    const before = heapAfter(1000);
    // Each way would keep a hundred bytes and more.
    expect(heapAfter(20_000) - before).toBeLessThan(1_000_000);
  });
});
