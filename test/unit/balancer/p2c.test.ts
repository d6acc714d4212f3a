import { inflightMeter, type LoadMeter, p2c, type peakEwma } from 'keelson/balancer';
import type { Endpoint } from 'keelson/core';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { endpoint, endpoints, sequence, shares } from './endpoint-makers.js';

/** A meter whose load is set by hand, and that counts who looks. */
function scripted(loads: Record<string, number>, unfit: ReadonlySet<string> = new Set()) {
  const reads = { count: 0 };
  const meter = ({ id }: Endpoint): LoadMeter => ({
    start: () => undefined,
    answer: () => undefined,
    end: () => undefined,
    load: () => {
      reads.count++;
      return loads[id] ?? 0;
    },
    fit: () => !unfit.has(id),
  });
  return { meter, reads };
}

describe('p2c', () => {
  it('has nobody to pick from an empty set', () => {
    const balancer = p2c();
    expect(balancer.pick(0)).toBeNull();
    balancer.update([], 0);
    expect(balancer.pick(0)).toBeNull();
    balancer.update(endpoints(2), 0);
    balancer.update([], 0);
    expect(balancer.pick(0)).toBeNull();
  });

  it('picks the only one, avoided or not', () => {
    const balancer = p2c();
    balancer.update(endpoints(1), 0);
    const lease = balancer.pick(0, { avoid: new Set(['e0']) });
    expect([lease?.endpoint.id, lease?.reason]).toEqual(['e0', 'only']);
  });

  it.each([
    { draws: [0, 0.5], loads: { e0: 1, e1: 2 }, picked: 'e0' },
    { draws: [0, 0.5], loads: { e0: 2, e1: 1 }, picked: 'e1' },
    { draws: [0, 0.5], loads: { e0: 1, e1: 1 }, picked: 'e0' },
    { draws: [0.5, 0], loads: { e0: 1, e1: 1 }, picked: 'e1' },
    { draws: [0, 0, 0, 0.9], loads: { e0: 5, e1: 1, e2: 3 }, picked: 'e2' },
    { draws: [0, 0.5], loads: { e0: Number.NaN, e1: 1 }, picked: 'e0' },
    { draws: [0, 0.5], loads: { e0: Number.POSITIVE_INFINITY, e1: 1 }, picked: 'e1' },
  ])('takes the less loaded of two: $draws of $loads', ({ draws, loads, picked }) => {
    const { meter, reads } = scripted(loads);
    const balancer = p2c({ meter, random: sequence(draws), forcePickMs: Number.POSITIVE_INFINITY });
    balancer.update(endpoints(Object.keys(loads).length), 0);
    const lease = balancer.pick(0);
    expect([lease?.endpoint.id, lease?.reason]).toEqual([picked, 'p2c']);
    expect(reads.count).toBe(2);
  });

  it.each([0, 0.999_999, 1, -1, Number.NaN])(
    'compares two different endpoints though random() is always %s',
    (stuck) => {
      const seen = new Set<string>();
      const meter = ({ id }: Endpoint): LoadMeter => ({
        start: () => undefined,
        answer: () => undefined,
        end: () => undefined,
        load: () => {
          seen.add(id);
          return 1;
        },
      });
      const balancer = p2c({ meter, random: () => stuck });
      balancer.update(endpoints(5), 0);
      expect(balancer.pick(0)).not.toBeNull();
      expect(seen.size).toBe(2);
    },
  );

  it.each([
    { toleranceRatio: 0.1, other: 91, picked: 'e0' },
    { toleranceRatio: 0.1, other: 90, picked: 'e1' },
    { toleranceRatio: 0, other: 99, picked: 'e1' },
    { toleranceRatio: 1, other: 51, picked: 'e0' },
  ])('leaves $other against 100 to chance with a tolerance of $toleranceRatio: $picked', (row) => {
    const { meter } = scripted({ e0: 100, e1: row.other });
    const { toleranceRatio } = row;
    const balancer = p2c({ meter, toleranceRatio, random: () => 0, forcePickMs: Number.POSITIVE_INFINITY });
    balancer.update(endpoints(2), 0);
    expect(balancer.pick(0)?.endpoint.id).toBe(row.picked);
  });

  it('forces in whole sets as well', () => {
    const { meter } = scripted({ e0: 1, e1: 9, e2: 9 });
    const balancer = p2c({ meter, scanUpTo: 3, forcePickMs: 1000 });
    balancer.update(endpoints(3), 0);
    const round = (now: number) =>
      Array.from({ length: 4 }, () => {
        const lease = balancer.pick(now);
        lease?.release('success', now);
        return `${lease?.endpoint.id} ${lease?.reason}`;
      });
    expect(round(0).toSorted()).toEqual(['e0 forced', 'e0 least', 'e1 forced', 'e2 forced']);
    expect(round(1000)).toEqual(Array(4).fill('e0 least'));
    expect(round(2001)).toContain('e1 forced');
    expect(balancer.pick(2002, { avoid: new Set(['e1', 'e2']) })?.reason).toBe('least');
  });

  it('passes over avoided endpoints while there are others', () => {
    const balancer = p2c({ meter: inflightMeter() });
    balancer.update(endpoints(5), 0);
    const four = new Set(['e0', 'e1', 'e2', 'e3']);
    for (let call = 0; call < 50; call++) {
      const lease = balancer.pick(call, { avoid: four });
      expect([lease?.endpoint.id, lease?.reason]).toEqual(['e4', 'only']);
    }
    expect(balancer.pick(50, { avoid: new Set([...four, 'e4']) })?.endpoint.id).toMatch(/^e[0-4]$/);
  });

  it('forces a pick of one that nobody picked for long, one at a time', () => {
    const { meter } = scripted({ e0: 1, e1: 9, e2: 9 });
    const balancer = p2c({ meter, forcePickMs: 1000, random: sequence([0, 0.4]) });
    balancer.update(endpoints(3), 0);
    const pick = (now: number) => {
      const lease = balancer.pick(now);
      return { lease, said: `${lease?.endpoint.id} ${lease?.reason}` };
    };
    const contact = pick(0);
    expect(contact.said).toBe('e1 forced');
    contact.lease?.release('success', 0);
    expect(pick(1000).said).toBe('e0 p2c');
    expect(pick(1001).said).toBe('e1 forced');
    expect(pick(2001).said).toBe('e0 p2c');
    // That one never answered. After another second it is no reason any more to wait.
    expect(pick(2002).said).toBe('e1 forced');
  });

  it('forces the next one only after the last has answered', () => {
    const { meter } = scripted({ e0: 1, e1: 9, e2: 9 });
    const balancer = p2c({ meter, forcePickMs: 1000, random: sequence([0, 0.4, 0, 0.7, 0, 0.7]) });
    balancer.update(endpoints(3), 0);
    const first = balancer.pick(0);
    expect([first?.endpoint.id, first?.reason]).toEqual(['e1', 'forced']);
    expect(balancer.pick(0)?.reason).toBe('p2c');
    first?.observe('success', 0);
    const second = balancer.pick(0);
    expect([second?.endpoint.id, second?.reason]).toEqual(['e2', 'forced']);
  });

  it('draws again while both are unfit', () => {
    const { meter } = scripted({}, new Set(['e0', 'e1', 'e2']));
    const draws = [0, 0.25, 0.5, 0.75];
    const pick = (redraws: number) => {
      const balancer = p2c({
        meter,
        redraws,
        random: sequence(draws),
        forcePickMs: Number.POSITIVE_INFINITY,
      });
      balancer.update(endpoints(4), 0);
      return balancer.pick(0)?.endpoint.id;
    };
    expect(pick(0)).toBe('e0');
    expect(pick(1)).toBe('e2');
  });

  it('compares small sets whole if asked to', () => {
    const { meter, reads } = scripted({ e0: 5, e1: 4, e2: 3, e3: 4 });
    const balancer = p2c({ meter, scanUpTo: 4, forcePickMs: Number.POSITIVE_INFINITY });
    balancer.update(endpoints(4), 0);
    for (let call = 0; call < 20; call++) {
      const lease = balancer.pick(call);
      expect([lease?.endpoint.id, lease?.reason]).toEqual(['e2', 'least']);
    }
    expect(balancer.pick(20, { avoid: new Set(['e2']) })?.endpoint.id).toMatch(/e[13]/);
    balancer.update(endpoints(5), 0);
    reads.count = 0;
    balancer.pick(21);
    expect(reads.count).toBe(2);
  });

  it.each([0, 8])('gives equals equal shares, comparing whole sets of up to %s', (scanUpTo) => {
    const balancer = p2c({ meter: inflightMeter(), scanUpTo, random: seededRandom(1) });
    balancer.update(endpoints(5), 0);
    for (const share of shares(balancer, 20_000).values()) expect(share).toBeCloseTo(0.2, 1);
  });

  // Shares of 10^5 draws: one standard deviation is at most 0.0016.
  it.each([
    { weights: [100, 300], scanUpTo: 0 },
    { weights: [100, 300], scanUpTo: 8 },
    { weights: [100, 100, 200, 600], scanUpTo: 0 },
    { weights: [100, 100, 200, 600], scanUpTo: 8 },
  ])('honours weights $weights of an idle service, whole sets of $scanUpTo', ({ weights, scanUpTo }) => {
    const balancer = p2c({
      meter: inflightMeter(),
      scanUpTo,
      random: seededRandom(2),
      forcePickMs: Number.POSITIVE_INFINITY,
    });
    balancer.update(
      endpoints(weights.length, (at) => ({ weight: weights[at] ?? 0 })),
      0,
    );
    const total = weights.reduce((sum, weight) => sum + weight);
    const found = shares(balancer, 100_000);
    weights.forEach((weight, at) => {
      expect(found.get(`e${at}`)).toBeCloseTo(weight / total, 1.8);
    });
  });

  it('gives equals equal shares of the calls that avoid one, in proportion to weight, comparing whole sets', () => {
    const options = { meter: inflightMeter(), scanUpTo: 8, forcePickMs: Number.POSITIVE_INFINITY };
    const avoid = { avoid: new Set(['e0']) };
    const even = p2c({ ...options, random: seededRandom(4) });
    even.update(endpoints(5), 0);
    const found = shares(even, 20_000, avoid);
    for (const id of ['e1', 'e2', 'e3', 'e4']) expect(found.get(id)).toBeCloseTo(0.25, 1.3);
    const weighted = p2c({ ...options, random: seededRandom(4) });
    weighted.update(
      endpoints(3, (at) => ({ weight: at === 2 ? 10 : 100 })),
      0,
    );
    expect(shares(weighted, 20_000, avoid).get('e2')).toBeCloseTo(1 / 11, 1.8);
  });

  it('does not give the share of a slow endpoint to its neighbour, comparing whole sets', () => {
    const { meter } = scripted({ e0: 100, e1: 1, e2: 1, e3: 1, e4: 1 });
    const balancer = p2c({
      meter,
      scanUpTo: 8,
      random: seededRandom(5),
      forcePickMs: Number.POSITIVE_INFINITY,
    });
    balancer.update(endpoints(5), 0);
    const found = shares(balancer, 20_000);
    // When e0 is drawn, two of the five places to go round from come to e1 first: 1/5 + 1/5 · 2/5.
    expect(found.get('e1')).toBeCloseTo(0.28, 1.8);
    for (const id of ['e2', 'e3', 'e4']) expect(found.get(id)).toBeCloseTo(0.24, 1.8);
  });

  // A third of the weight has to hold at most a third of the load to be the better choice.
  it.each([
    { light: 1, heavy: 2, shareOfLight: 0.25 },
    { light: 1, heavy: 4, shareOfLight: 1 },
    { light: 1.4, heavy: 1, shareOfLight: 0.25 },
    { light: 2, heavy: 1, shareOfLight: 0 },
  ])('weighs a load of $light at weight 100 against $heavy at 300', ({ light, heavy, shareOfLight }) => {
    const { meter } = scripted({ light, heavy });
    const balancer = p2c({
      meter,
      toleranceRatio: 0,
      random: seededRandom(3),
      forcePickMs: Number.POSITIVE_INFINITY,
    });
    balancer.update([endpoint('heavy', { weight: 300 }), endpoint('light')], 0);
    expect(shares(balancer, 20_000).get('light') ?? 0).toBeCloseTo(shareOfLight, 1.5);
  });

  it.each([
    { weighting: 'load' as const, picked: 'e1' },
    { weighting: 'none' as const, picked: 'e0' },
  ])('weighs as told: $weighting', ({ weighting, picked }) => {
    const { meter } = scripted({ e0: 1, e1: 2 });
    const balancer = p2c({ meter, weighting, forcePickMs: Number.POSITIVE_INFINITY });
    balancer.update([endpoint('e0'), endpoint('e1', { weight: 300 })], 0);
    expect(shares(balancer, 100).get(picked)).toBe(1);
  });

  it.each([0, -5, Number.NaN, Number.POSITIVE_INFINITY, 1e308])('survives a weight of %s', (weight) => {
    const balancer = p2c({ meter: inflightMeter() });
    balancer.update([endpoint('e0', { weight }), endpoint('e1'), endpoint('e2')], 0);
    for (let call = 0; call < 1000; call++) balancer.pick(call)?.release('success', call);
    for (const { weight: shown, inflight, load } of balancer.snapshot?.(1000) ?? []) {
      expect(shown).toBeGreaterThan(0);
      expect(shown).toBeLessThan(Number.POSITIVE_INFINITY);
      expect([inflight, load]).toEqual([0, 1]);
    }
  });

  it('keeps the state of those that stay, and of leavers until their last lease', () => {
    const made: string[] = [];
    const inner = inflightMeter();
    const balancer = p2c({
      meter: (who, now) => {
        made.push(who.id);
        return inner(who, now);
      },
    });
    const inflightOf = () => balancer.snapshot?.(0).map(({ id, inflight }) => [id, inflight]);
    balancer.update([endpoint('a')], 0);
    const first = balancer.pick(0);
    const second = balancer.pick(0);
    balancer.update([endpoint('b')], 0);
    balancer.update([endpoint('a'), endpoint('b')], 0);
    expect(inflightOf()).toEqual([
      ['a', 2],
      ['b', 0],
    ]);
    balancer.update([endpoint('b')], 0);
    first?.release('success', 1);
    balancer.update([endpoint('a')], 0);
    expect(inflightOf()).toEqual([['a', 1]]);
    balancer.update([endpoint('b')], 0);
    second?.release('success', 2);
    second?.release('success', 3);
    balancer.update([endpoint('a')], 0);
    expect(inflightOf()).toEqual([['a', 0]]);
    expect(made).toEqual(['a', 'b', 'b', 'a']);
  });

  it('takes what the registry says anew, and counts an id once', () => {
    const balancer = p2c();
    balancer.update([endpoint('a', { weight: 10 }), endpoint('a', { weight: 20 })], 0);
    expect(balancer.snapshot?.(0)).toMatchObject([{ id: 'a', weight: 10 }]);
    const before = balancer.pick(0);
    balancer.update([endpoint('a', { weight: 30, zone: 'z' })], 0);
    expect(balancer.snapshot?.(0)).toMatchObject([{ id: 'a', weight: 30, inflight: 1 }]);
    expect(before?.endpoint.zone).toBeUndefined();
    expect(balancer.pick(0)?.endpoint.zone).toBe('z');
  });

  it('looks at two of ten thousand', () => {
    let reads = 0;
    let made = 0;
    const balancer = p2c({
      meter: () => {
        made++;
        return {
          start: () => undefined,
          answer: () => undefined,
          end: () => undefined,
          load: () => {
            reads++;
            return 0;
          },
        };
      },
    });
    const many = endpoints(10_000);
    balancer.update(many, 0);
    for (let call = 0; call < 1000; call++) balancer.pick(call)?.release('success', call);
    expect(reads).toBe(2000);
    balancer.update(many.slice(1), 1);
    expect(made).toBe(10_000);
    expect(balancer.snapshot?.(0)).toHaveLength(9999);
  });

  it('does not count a call whose meter throws', () => {
    const balancer = p2c({
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
    [{ forcePickMs: -1 }, RangeError, /p2c\.forcePickMs/],
    [{ toleranceRatio: -0.1 }, RangeError, /p2c\.toleranceRatio/],
    [{ redraws: 0.5 }, RangeError, /p2c\.redraws/],
    [{ scanUpTo: -1 }, RangeError, /p2c\.scanUpTo/],
    [{ weighting: 'all' as 'draw' }, RangeError, /p2c\.weighting/],
    [{ meter: 3 as unknown as ReturnType<typeof peakEwma> }, TypeError, /p2c\.meter/],
    [{ taumS: 3 } as object, TypeError, /p2c\.taumS/],
    [{ slowStart: { rampMs: 0 } }, RangeError, /slowStart\.rampMs/],
  ])('refuses %j', (options, kind, message) => {
    expect(() => p2c(options)).toThrow(kind);
    expect(() => p2c(options)).toThrow(message);
  });
});
