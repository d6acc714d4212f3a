import { type Balancer, inflightMeter, type LoadMeter, leastLoad, type Metering } from 'keelson/balancer';
import type { Endpoint } from 'keelson/core';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { endpoint, endpoints, shares } from './endpoint-makers.js';

/** A meter whose load is set by hand, and that counts who looks. */
function scripted(loads: Record<string, number>) {
  const reads: string[] = [];
  const meter = ({ id }: Endpoint): LoadMeter => ({
    start: () => undefined,
    answer: () => undefined,
    end: () => undefined,
    load: () => {
      reads.push(id);
      return loads[id] ?? 0;
    },
  });
  return { meter, reads };
}

describe('leastLoad', () => {
  it('has nobody to pick from an empty set', () => {
    const balancer = leastLoad();
    expect(balancer.pick(0)).toBeNull();
    balancer.update(endpoints(2), 0);
    balancer.update([], 0);
    expect(balancer.pick(0)).toBeNull();
  });

  it('picks the only one, avoided or not', () => {
    const balancer = leastLoad();
    balancer.update(endpoints(1), 0);
    const lease = balancer.pick(0, { avoid: new Set(['e0']) });
    expect([lease?.endpoint.id, lease?.reason]).toEqual(['e0', 'only']);
  });

  it.each([
    { loads: { e0: 5, e1: 4, e2: 3, e3: 4 }, picked: 'e2' },
    { loads: { e0: 1, e1: 2, e2: 2, e3: 2 }, picked: 'e0' },
    { loads: { e0: Number.NaN, e1: 9, e2: Number.POSITIVE_INFINITY, e3: 1e12 }, picked: 'e1' },
    { loads: { e0: 3, e1: 3, e2: 3, e3: -1 }, picked: 'e3' },
  ])('takes the least loaded of all: $loads', ({ loads, picked }) => {
    const { meter } = scripted(loads);
    const balancer = leastLoad({ meter, random: seededRandom(1) });
    balancer.update(endpoints(4), 0);
    expect(shares(balancer, 50).get(picked)).toBe(1);
    expect(balancer.pick(60)?.reason).toBe('least');
  });

  it('sees at the next pick what a call changed, at its start, its answer and its end', () => {
    const loads = { e0: 10, e1: 20, e2: 30 };
    const { meter } = scripted(loads);
    const balancer = leastLoad({ meter });
    balancer.update(endpoints(3), 0);
    loads.e0 = 40;
    // Nobody said so.
    const first = balancer.pick(0);
    expect(first?.endpoint.id).toBe('e0');
    // Its start did.
    expect(balancer.pick(0)?.endpoint.id).toBe('e1');
    loads.e0 = 5;
    expect(balancer.pick(0)?.endpoint.id).toBe('e1');
    first?.observe('success', 0);
    expect(balancer.pick(0)?.endpoint.id).toBe('e0');
    loads.e0 = 50;
    first?.release('success', 0);
    expect(balancer.pick(0)?.endpoint.id).toBe('e1');
  });

  it('looks at all of them again within 200 ms, also when the clock steps back', () => {
    const { meter, reads } = scripted({});
    const balancer = leastLoad({ meter });
    balancer.update(endpoints(40), 0);
    const looked = (from: number, until: number) => {
      reads.length = 0;
      for (let now = from; now <= until; now += 5) balancer.pick(now)?.release('unsent', now);
      return new Set(reads).size;
    };
    expect(looked(0, 200)).toBe(40);
    expect(looked(1e6, 1e6)).toBe(40);
    expect(looked(-1e6, -1e6 + 200)).toBe(40);
  });

  it('reads the loads of those that something happened to, and of nobody else', () => {
    const { meter, reads } = scripted({});
    const balancer = leastLoad({ meter, random: seededRandom(2) });
    balancer.update(endpoints(10_000), 0);
    reads.length = 0;
    for (let call = 0; call < 1000; call++) balancer.pick(0)?.release('success', 0);
    expect(reads.length).toBeLessThanOrEqual(1000);
  });

  it.each([
    { toleranceRatio: 0.1, other: 91, split: true },
    { toleranceRatio: 0.1, other: 90, split: false },
    { toleranceRatio: 0, other: 99.9, split: false },
  ])('leaves $other against 100 to chance with a tolerance of $toleranceRatio: $split', (row) => {
    const { meter } = scripted({ e0: 100, e1: row.other });
    const balancer = leastLoad({
      meter,
      toleranceRatio: row.toleranceRatio,
      probeRatio: 0,
      random: seededRandom(3),
    });
    balancer.update(endpoints(2), 0);
    const share = shares(balancer, 4000).get('e0') ?? 0;
    if (row.split) expect(share).toBeCloseTo(0.5, 1);
    else expect(share).toBe(0);
  });

  describe('of those that are passed over', () => {
    const forced = (balancer: Balancer, calls: number) => {
      const found: [number, string][] = [];
      for (let call = 1; call <= calls; call++) {
        const lease = balancer.pick(0);
        if (lease?.reason === 'forced') found.push([call, lease.endpoint.id]);
        lease?.release('success', 0);
      }
      return found;
    };

    it('tries one in turn, as often as it is told to', () => {
      const { meter } = scripted({ e0: 100, e1: 1, e2: 100 });
      const balancer = leastLoad({ meter, probeRatio: 0.01, random: seededRandom(3) });
      balancer.update(endpoints(3), 0);
      const found = forced(balancer, 1000);
      expect(found.length).toBe(9);
      expect(new Set(found.map(([, id]) => id))).toEqual(new Set(['e0', 'e2']));
      found.forEach(([call], at) => {
        expect(call).toBe(101 + at * 100);
      });
    });

    it.each([{ probeRatio: 0 }, { probeRatio: 0.001 }])('tries none before it is time: %j', (options) => {
      const { meter } = scripted({ e0: 100, e1: 1 });
      const balancer = leastLoad({ meter, random: seededRandom(3), ...options });
      balancer.update(endpoints(2), 0);
      expect(forced(balancer, 1000)).toEqual([]);
    });

    it('leaves alone those that the meter calls unfit, and those that get their share', () => {
      const meter = ({ id }: Endpoint): LoadMeter => ({
        start: () => undefined,
        answer: () => undefined,
        end: () => undefined,
        load: () => (id === 'e0' ? 100 : 1),
        fit: () => id !== 'e0',
      });
      const balancer = leastLoad({ meter, probeRatio: 0.01, random: seededRandom(3) });
      balancer.update(endpoints(3), 0);
      expect(forced(balancer, 5000)).toEqual([]);
    });

    it('tries a light one no more often than its weight is worth', () => {
      for (const weight of [0, 1]) {
        const { meter } = scripted({ e2: 100 });
        const balancer = leastLoad({ meter, probeRatio: 0.01, random: seededRandom(3) });
        balancer.update(
          endpoints(3, (at) => ({ weight: at === 2 ? weight : 1000 })),
          0,
        );
        // A quarter of one in 2001 calls, less what the turn of the probes rounds.
        expect(forced(balancer, 50_000).length).toBe(weight === 0 ? 0 : 6);
      }
    });

    it('tries nobody that is to be avoided', () => {
      const { meter } = scripted({ e0: 100, e1: 1 });
      const balancer = leastLoad({ meter, probeRatio: 0.1, random: seededRandom(3) });
      balancer.update(endpoints(2), 0);
      expect(shares(balancer, 500, { avoid: new Set(['e0']) }).get('e1')).toBe(1);
    });
  });

  it('gives equals equal shares', () => {
    const balancer = leastLoad({ meter: inflightMeter(), random: seededRandom(4) });
    balancer.update(endpoints(5), 0);
    for (const share of shares(balancer, 20_000).values()) expect(share).toBeCloseTo(0.2, 1.5);
  });

  it('does not prefer, among equals that are not drawn, the same one for all clients', () => {
    const { meter } = scripted(
      Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`e${at}`, at < 10 ? 1 : 9])),
    );
    const best = new Set<string | undefined>();
    for (let client = 0; client < 40; client++) {
      const balancer = leastLoad({ meter, random: seededRandom(100 + client) });
      balancer.update(endpoints(20), 0);
      for (let call = 0; call < 3; call++) best.add(balancer.pick(0)?.endpoint.id);
    }
    expect(best.size).toBe(10);
  });

  // Shares of 10^5 draws: one standard deviation is at most 0.0016.
  it.each([{ weights: [100, 300] }, { weights: [100, 100, 200, 600] }])(
    'honours weights $weights of an idle service',
    ({ weights }) => {
      const balancer = leastLoad({ meter: inflightMeter(), random: seededRandom(5) });
      balancer.update(
        endpoints(weights.length, (at) => ({ weight: weights[at] ?? 0 })),
        0,
      );
      const total = weights.reduce((sum, weight) => sum + weight);
      const found = shares(balancer, 100_000);
      weights.forEach((weight, at) => {
        expect(found.get(`e${at}`)).toBeCloseTo(weight / total, 1.8);
      });
    },
  );

  // A third of the weight has to hold at most a third of the load to be the better choice.
  it.each([
    { light: 1, heavy: 2, shareOfLight: 0.25 },
    { light: 1, heavy: 4, shareOfLight: 1 },
    { light: 1.4, heavy: 1, shareOfLight: 0.25 },
    { light: 2, heavy: 1, shareOfLight: 0 },
  ])('weighs a load of $light at weight 100 against $heavy at 300', ({ light, heavy, shareOfLight }) => {
    const { meter } = scripted({ light, heavy });
    const balancer = leastLoad({ meter, toleranceRatio: 0, random: seededRandom(6) });
    balancer.update([endpoint('heavy', { weight: 300 }), endpoint('light')], 0);
    expect(shares(balancer, 20_000).get('light') ?? 0).toBeCloseTo(shareOfLight, 1.5);
  });

  it('lets weights count nowhere if told so', () => {
    const { meter } = scripted({ light: 1, heavy: 1.4 });
    const balancer = leastLoad({ meter, weighting: 'none' });
    balancer.update([endpoint('heavy', { weight: 300 }), endpoint('light')], 0);
    expect(shares(balancer, 100).get('light')).toBe(1);
  });

  it('passes over avoided endpoints while there are others, and forgets that it did', () => {
    const { meter } = scripted({ e0: 1, e1: 2, e2: 3, e3: 4 });
    const balancer = leastLoad({ meter });
    balancer.update(endpoints(4), 0);
    const pick = (...ids: string[]) => balancer.pick(0, { avoid: new Set(ids) })?.endpoint.id;
    expect(pick('e0')).toBe('e1');
    expect(pick('e0', 'e1', 'gone')).toBe('e2');
    expect(pick('e0', 'e1', 'e2')).toBe('e3');
    expect(pick('e0', 'e1', 'e2', 'e3')).toBe('e0');
    expect(pick()).toBe('e0');
    expect(balancer.pick(0)?.endpoint.id).toBe('e0');
  });

  it('gives a newcomer its part of an idle service, and spares it under load', () => {
    const balancer = leastLoad({
      meter: inflightMeter(),
      slowStart: { rampMs: 1000 },
      random: seededRandom(7),
    });
    const all = endpoints(4);
    balancer.update(all.slice(0, 3), 0);
    balancer.update(all, 0);
    const calls = Array.from({ length: 8000 }, () => {
      const lease = balancer.pick(500);
      lease?.release('success', 500);
      return lease?.endpoint.id;
    });
    // Half of a quarter of the draws; what it does not take goes to the others.
    expect(calls.filter((id) => id === 'e3').length / 8000).toBeCloseTo(0.125, 1.7);
    // Half of the weight: at five in flight each, its one call makes four.
    const held = Array.from({ length: 18 }, () => balancer.pick(500));
    const own = held.filter((lease) => lease?.endpoint.id === 'e3').length;
    expect(own).toBeLessThanOrEqual(4);
  });

  it.each([0, -5, Number.NaN, Number.POSITIVE_INFINITY, 1e308])('survives a weight of %s', (weight) => {
    const balancer = leastLoad({ meter: inflightMeter() });
    balancer.update([endpoint('e0', { weight }), endpoint('e1'), endpoint('e2')], 0);
    for (let call = 0; call < 1000; call++) balancer.pick(call)?.release('success', call);
    for (const { weight: shown, inflight, load } of balancer.snapshot?.(1000) ?? []) {
      expect(shown).toBeGreaterThan(0);
      expect(shown).toBeLessThan(Number.POSITIVE_INFINITY);
      expect([inflight, load]).toEqual([0, 1]);
    }
  });

  it.each([0, 0.999_999, 1, -1, Number.NaN])('picks though random() is always %s', (stuck) => {
    const balancer = leastLoad({ random: () => stuck });
    balancer.update(endpoints(5), 0);
    const picked = Array.from({ length: 5 }, () => balancer.pick(0)?.endpoint.id);
    expect(new Set(picked).size).toBe(5);
  });

  it('keeps the state of those that stay, and of leavers until their last lease', () => {
    const made: string[] = [];
    const inner = inflightMeter();
    const meter: Metering = (who, now) => {
      made.push(who.id);
      return inner(who, now);
    };
    const balancer = leastLoad({ meter });
    const inflightOf = () => balancer.snapshot?.(0).map(({ id, inflight }) => [id, inflight]);
    balancer.update([endpoint('a')], 0);
    const first = balancer.pick(0);
    balancer.update([endpoint('b')], 0);
    // A leaver's call ends between two picks of others.
    const other = balancer.pick(0);
    first?.observe('success', 0);
    expect(balancer.pick(0)?.endpoint.id).toBe('b');
    balancer.update([endpoint('a'), endpoint('b')], 0);
    expect(inflightOf()).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
    first?.release('success', 1);
    first?.release('success', 1);
    expect(balancer.pick(1)?.endpoint.id).toBe('a');
    other?.release('success', 1);
    expect(made).toEqual(['a', 'b']);
  });

  it('knows again who was missing from the list for a moment, and nobody who was away for longer', () => {
    const made: string[] = [];
    const inner = inflightMeter();
    const meter: Metering = (who, now) => {
      made.push(who.id);
      return inner(who, now);
    };
    const balancer = leastLoad({ meter, slowStart: {} });
    const all = endpoints(4);
    const without = all.slice(1);
    const weight = () => balancer.snapshot?.(10_000).find(({ id }) => id === 'e0')?.weight;
    balancer.update(all, 0);
    balancer.update(without, 1000);
    balancer.update(without, 2000);
    balancer.update(all, 2999);
    expect([made.length, weight()]).toEqual([4, 100]);
    balancer.update(without, 4000);
    // It is dropped by the first update after its time.
    balancer.update(without, 6000);
    balancer.update(all, 10_000);
    expect([made.length, weight()]).toEqual([5, 10]);
    // However late the only update after it left.
    balancer.update(without, 11_000);
    balancer.update(all, 13_000);
    expect([made.length, weight()]).toEqual([6, 100 * 0.1]);
    // However many come and go, those that are remembered are those of the last moments.
    for (let at = 0; at < 1000; at++) balancer.update([endpoint(`new${at}`)], 20_000 + at * 500);
    expect(made.length).toBe(1006);
  });

  it('does not lose sight of one that came back anew for a call that it had before', () => {
    const balancer = leastLoad({ meter: inflightMeter() });
    const all = endpoints(2);
    balancer.update(all.slice(0, 1), 0);
    const old = balancer.pick(0);
    balancer.update(all.slice(1), 1);
    balancer.update(all, 10_000);
    const inflight = () => balancer.snapshot?.(10_000).map((entry) => entry.inflight);
    expect(inflight()).toEqual([0, 0]);
    old?.release('success', 10_000);
    expect(inflight()).toEqual([0, 0]);
    balancer.update(all, 10_001);
    expect(balancer.snapshot?.(10_001).map(({ weight }) => weight)).toEqual([100, 100]);
  });

  it('does not count a call whose meter throws', () => {
    const balancer = leastLoad({
      meter: () => ({
        start: () => {
          throw new Error('broken');
        },
        answer: () => undefined,
        end: () => undefined,
        load: () => 0,
      }),
    });
    balancer.update(endpoints(2), 0);
    expect(() => balancer.pick(0)).toThrow('broken');
    expect(balancer.snapshot?.(0)).toMatchObject([{ inflight: 0 }, { inflight: 0 }]);
  });

  it.each([
    [{ toleranceRatio: -0.1 }, RangeError, /leastLoad\.toleranceRatio/],
    [{ weighting: 'all' as 'draw' }, RangeError, /leastLoad\.weighting/],
    [{ meter: 3 as unknown as Metering }, TypeError, /leastLoad\.meter/],
    [{ scanUpTo: 3 } as object, TypeError, /leastLoad\.scanUpTo/],
    [{ slowStart: { rampMs: 0 } }, RangeError, /slowStart\.rampMs/],
  ])('refuses %j', (options, kind, message) => {
    expect(() => leastLoad(options)).toThrow(kind);
    expect(() => leastLoad(options)).toThrow(message);
  });
});
