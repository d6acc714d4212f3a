import {
  filtered,
  inVersion,
  labelled,
  nearZone,
  outlierEjection,
  roundRobin,
  standardBalancer,
  subset,
} from 'keelson/balancer';
import { describe, expect, it } from 'vitest';
import { endpoint, endpoints, shares } from './endpoint-makers.js';

const ids = (list: readonly { readonly id: string }[]) => list.map(({ id }) => id).join(' ');

describe('a factory that was not called', () => {
  it.each([
    [nearZone, 'nearZone'],
    [subset, 'subset'],
    [labelled, 'labelled'],
    [inVersion, 'inVersion'],
  ])('is no filter: %o', (factory, name) => {
    const message = `[0] must be a filter, such as nearZone() makes, got the function ${name}; call it: ${name}()`;
    expect(() => filtered(roundRobin(), [factory as never])).toThrow(message);
    expect(() => standardBalancer({ filters: [factory as never] })).toThrow(
      `standardBalancer.filters${message}`,
    );
  });

  it.each([
    ['wants somebody', (list: readonly { readonly id: string }[]) => list.filter(() => list[0]?.id !== 'x')],
    [
      'throws without anybody',
      () => {
        throw new TypeError('nearZone of mine');
      },
    ],
  ])('is not a filter that %s', (_, filter) => {
    expect(() => filtered(roundRobin(), [filter as never])).not.toThrow();
  });

  it.each([undefined, null, {}, 'near'])('is not the only thing that is none: %o', (filter) => {
    expect(() => filtered(roundRobin(), [filter as never])).toThrow('[0] must be a filter');
    expect(() => filtered(roundRobin(), filter as never)).toThrow('must be an array of filters');
  });

  it.each([undefined, {}, roundRobin])('is no balancer: %o', (inner) => {
    expect(() => filtered(inner as never, [])).toThrow('filtered: the first argument must be a balancer');
    expect(() => outlierEjection(inner as never)).toThrow(
      'outlierEjection: the first argument must be a balancer',
    );
  });

  it.each([
    [null, 'standardBalancer: options must be an object, got null'],
    [{ x: 1 }, 'standardBalancer.x is not an option'],
    [{ ejection: { windowMs: 0 } }, 'standardBalancer.ejection.windowMs must be a number > 0'],
  ])('standardBalancer(%o): %s', (options, message) => {
    expect(() => standardBalancer(options as never)).toThrow(message);
  });
});

describe('filters', () => {
  const list = [
    endpoint('a', { version: '1.0', zone: 'z1', metadata: { color: 'red', tier: '1' } }),
    endpoint('b', { version: '2.0', zone: 'z2', metadata: { color: 'red' } }),
    endpoint('c', { version: '2.1', zone: 'z2', metadata: { color: 'blue', tier: '1' } }),
    endpoint('d', { metadata: {} }),
  ];

  it.each([
    ['one version', inVersion('2.0'), 'b'],
    ['several versions', inVersion('2.0', '2.1'), 'b c'],
    ['no version of that name', inVersion('3'), ''],
    ['no version at all', inVersion(), ''],
    ['a label', labelled({ color: 'red' }), 'a b'],
    ['all of the labels', labelled({ color: 'red', tier: '1' }), 'a'],
    ['no labels', labelled({}), 'a b c d'],
    ['an inherited name', labelled({ constructor: 'x' }), ''],
    ['the own zone', nearZone({ zone: 'z2' }), 'b c'],
    ['a zone without endpoints', nearZone({ zone: 'z9' }), 'a b c d'],
    ['a zone with enough', nearZone({ zone: 'z2', minEndpoints: 2 }), 'b c'],
    ['a zone with too few', nearZone({ zone: 'z2', minEndpoints: 3 }), 'a b c d'],
    ['a zone with enough weight', nearZone({ zone: 'z2', minWeightRatio: 0.5 }), 'b c'],
    ['a zone with too little weight', nearZone({ zone: 'z1', minWeightRatio: 0.3 }), 'a b c d'],
  ])('%s', (_, filter, expected) => {
    expect(ids(filter(list))).toBe(expected);
    expect(ids(filter([]))).toBe('');
  });

  it('compose in their order', () => {
    const balancer = filtered(roundRobin(), [inVersion('2.0', '2.1'), labelled({ tier: '1' })]);
    balancer.update(list, 0);
    expect(balancer.snapshot?.(0)).toMatchObject([{ id: 'c' }]);
    expect(balancer.pick(0)?.endpoint.id).toBe('c');
  });

  it('inside an ejection, leave a zone whose endpoints are all out', () => {
    const balancer = outlierEjection(filtered(roundRobin(), [nearZone({ zone: 'z1' })]), {
      consecutiveFailures: 1,
    });
    balancer.update(list, 0);
    for (let call = 0; call < 100 && balancer.pick(call)?.endpoint.id === 'a'; call++) {
      balancer.pick(call)?.release('failure', call);
    }
    expect(shares(balancer, 90).get('a')).toBeUndefined();
  });

  it.each([
    [() => nearZone({ zone: '' }), TypeError, 'nearZone.zone'],
    [() => nearZone({ zone: 'z', minEndpoints: 0 }), RangeError, 'nearZone.minEndpoints'],
    [() => nearZone({ zone: 'z', minWeightRatio: 2 }), RangeError, 'nearZone.minWeightRatio'],
    [() => subset({ size: 0 }), RangeError, 'subset.size'],
    [() => subset({ clientId: 3 as unknown as string }), TypeError, 'subset.clientId'],
  ])('refuse absurd options: %s', (make, kind, message) => {
    expect(make).toThrow(kind);
    expect(make).toThrow(message);
  });
});

describe('subset', () => {
  const all = endpoints(500);

  it('keeps a small set whole, and its own size of a large one', () => {
    expect(subset({ size: 25 })(all.slice(0, 25))).toHaveLength(25);
    expect(subset({ size: 25 })(all)).toHaveLength(25);
    expect(subset()(all)).toHaveLength(25);
  });

  it('is the same for the same client, whatever the order, and another for another', () => {
    const mine = subset({ clientId: 'c1' })(all);
    expect(subset({ clientId: 'c1' })([...all].reverse()).toReversed()).toEqual(mine);
    expect(subset({ clientId: 'c2' })(all)).not.toEqual(mine);
    expect(subset()(all)).not.toEqual(subset()(all));
  });

  // 8000 clients x 25 over 500 backends: mean 400, one standard deviation sqrt(400 * 0.95) = 19.5. The bound that
  // aegis sets for its ring, 600, is ten of them; 500 is five, for the fullest of 500.
  it('gives each backend its share of the clients, leaves none over, and moves few', () => {
    const clients = Array.from({ length: 8000 }, (_, at) => subset({ size: 25, clientId: `client-${at}` }));
    const counts = new Map<string, number>();
    let moved = 0;
    const without = all.slice(1);
    for (const keep of clients) for (const { id } of keep(all)) counts.set(id, (counts.get(id) ?? 0) + 1);
    for (const keep of clients.slice(0, 200)) {
      const before = new Set(keep(all).map(({ id }) => id));
      for (const { id } of keep(without)) if (!before.has(id)) moved++;
      if (!before.has('e0')) expect(keep(without)).toEqual(keep(all));
    }
    expect(counts.size).toBe(500);
    expect(Math.max(...counts.values())).toBeLessThanOrEqual(600);
    expect(moved / (200 * 25)).toBeLessThan(0.005);
  });
});
