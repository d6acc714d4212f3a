import type { Attributes } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { caller, tracedHere } from '../../doubles/traced-here.js';

const circle: Record<string, unknown> = { name: 'circle' };
circle['self'] = circle;

const deep = { a: { b: { c: { d: { e: 1 } } } } };

const throwing = {
  get gone() {
    throw new Error('no');
  },
  kept: 1,
};

const hostile = {
  toString() {
    throw new Error('no');
  },
  toJSON() {
    throw new Error('no');
  },
};

const selfish: unknown[] = [];
selfish.push(selfish);

const viewed = '{"a":"[3 bytes]","b":"[4 bytes]"}';

const revoked = Proxy.revocable({}, {});
revoked.revoke();

function written(attributes: Record<string, unknown>, limits = {}) {
  const here = tracedHere({ limits });
  const span = here.start('x');
  for (const [name, value] of Object.entries(attributes)) span.setAttribute(name, value as never);
  span.end();
  return here.span('x');
}

describe('attributes', () => {
  const values: [what: string, given: unknown, expected: unknown][] = [
    ['text', 'text', 'text'],
    ['no text', '', ''],
    ['zero', 0, 0],
    ['a number', -1.5, -1.5],
    ['a truth', true, true],
    ['no number', Number.NaN, 'NaN'],
    ['an infinity', Number.POSITIVE_INFINITY, 'Infinity'],
    ['a small bigint', 12n, 12],
    ['a big one', 2n ** 64n, '18446744073709551616'],
    ['a symbol', Symbol('mine'), 'Symbol(mine)'],
    ['a date', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['a broken date', new Date(Number.NaN), 'Invalid Date'],
    ['an error', new RangeError('too much'), 'RangeError: too much'],
    ['an object', { a: 1, b: ['x', null] }, '{"a":1,"b":["x",null]}'],
    ['an object with a date', { at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}'],
    ['a circle', circle, '{"name":"circle","self":"[circular]"}'],
    ['a deep object', deep, '{"a":{"b":{"c":{"d":"[object]"}}}}'],
    ['a getter that throws', throwing, '{"gone":"[unreadable]","kept":1}'],
    ['own ways to text', { toJSON: 1, toString: () => 'never' }, '{"toJSON":1,"toString":"[function]"}'],
    ['a toString that throws', hostile, '{"toString":"[function]","toJSON":"[function]"}'],
    ['a revoked proxy', revoked.proxy, '[unreadable]'],
    ['bytes', new Uint8Array(9), '[9 bytes]'],
    ['a buffer', new ArrayBuffer(9), '[9 bytes]'],
    ['bytes in an object', { body: Buffer.alloc(9), at: 1 }, '{"body":"[9 bytes]","at":1}'],
    ['bytes in a list', [[new Uint8Array(9)]], ['["[9 bytes]"]']],
    ['a view and a buffer', { a: new DataView(new ArrayBuffer(3)), b: new SharedArrayBuffer(4) }, viewed],
    ['a text in an object', { a: Object('text') }, '{"a":"text"}'],
    ['an object of nothing', Object.create(null), '{}'],
    ['texts', ['a', 'b'], ['a', 'b']],
    ['numbers and null', [1, null, 2], [1, null, 2]],
    ['a hole', [1, undefined, 2], [1, null, 2]],
    ['a mixture', [1, 'a', true], ['1', 'a', 'true']],
    ['a list with no number', [1, Number.NaN], ['1', 'NaN']],
    ['a list of anything', [{ a: 1 }, () => 1], ['{"a":1}', null]],
    ['a list that holds itself', selfish, ['["[circular]"]']],
    ['an empty list', [], []],
  ];

  it.each(values.map(([what], at) => [what, at] as const))('of %s are clean', (_, at) => {
    const [, given, expected] = values[at] as (typeof values)[number];
    expect(written({ a: given }).attributes).toEqual({ a: expected });
  });

  it.each([[null], [undefined], [() => 1]])('of %o are none', (given) => {
    expect(written({ a: given, b: 1 })).toMatchObject({ attributes: { b: 1 }, droppedAttributesCount: 0 });
  });

  it('does not keep what the user goes on changing', () => {
    const here = tracedHere();
    const list = ['a'];
    const given: Attributes = { list };
    const span = here.start('x').setAttributes(given).addEvent('e', given);
    list.push('b');
    given['list'] = 'other';
    span.end();
    expect(here.span('x').attributes).toEqual({ list: ['a'] });
    expect(here.span('x').events[0]?.attributes).toEqual({ list: ['a'] });
  });

  it('cuts what is too long, and ends with what is endless', () => {
    const huge = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`key${at}`, 'v'.repeat(50)]));
    const span = written(
      { text: 'x'.repeat(200), list: Array(50).fill('y'.repeat(9)), huge, numbers: Array(5000).fill(1) },
      { maxAttributeLength: 100 },
    );
    expect(span.attributes['text']).toBe('x'.repeat(100));
    expect((span.attributes['list'] as string[]).join('')).toHaveLength(100);
    expect(span.attributes['huge']).toHaveLength(100);
    expect(span.attributes['numbers']).toHaveLength(1000);
  });

  it('refuses names that are none, and counts them', () => {
    const here = tracedHere();
    const span = here.start('x');
    span
      .setAttribute('', 1)
      .setAttribute(undefined as never, 1)
      .setAttribute('n'.repeat(20_000), 1);
    span.setAttribute('__proto__', { polluted: true } as never).end();
    expect(here.span('x')).toMatchObject({ attributes: {}, droppedAttributesCount: 3 });
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('reads objects of attributes that throw as far as they let it', () => {
    const here = tracedHere();
    const span = here.start('x');
    span.setAttributes(throwing as never).setAttributes(revoked.proxy as never);
    span.setAttributes(Object.create({ inherited: 1 }, { own: { value: 2, enumerable: true } })).end();
    expect(here.span('x')).toMatchObject({ attributes: { kept: 1, own: 2 }, droppedAttributesCount: 2 });
    expect(here.span('x').attributes).not.toHaveProperty('inherited');
  });

  it('does not walk what is endless to its end, and takes no list for attributes', () => {
    let reads = 0;
    const names = Array.from({ length: 5000 }, (_, at) => `n${at}`);
    const endless = new Proxy(Object.fromEntries(names.map((name) => [name, 1])), {
      get() {
        reads++;
        return 1;
      },
    });
    const here = tracedHere({ limits: { maxAttributes: 3 } });
    here.start('x').setAttributes(endless).end();
    expect(here.span('x').attributes).toEqual({ n0: 1, n1: 1, n2: 1 });
    expect(here.span('x').droppedAttributesCount).toBeGreaterThan(0);
    expect(reads).toBeLessThan(100);
    const lists = [Buffer.alloc(9), 'text', ['a'], Object('text')];
    const span = here.start('y');
    for (const list of lists) span.setAttributes(list as never);
    span.setAttributes(null as never).end();
    expect(here.span('y')).toMatchObject({ attributes: {}, droppedAttributesCount: 4 });
  });

  it('keeps so many names, the first that came, and goes on changing them', () => {
    const here = tracedHere({ limits: { maxAttributes: 3 } });
    const span = here.start('x');
    for (const name of ['a', 'b', 'a', 'c', 'd', 'e']) span.setAttribute(name, 1);
    span.setAttribute('b', 2).end();
    expect(here.span('x')).toMatchObject({ attributes: { a: 1, b: 2, c: 1 }, droppedAttributesCount: 2 });
    expect(here.span('x').pairs).toEqual(['a', 1, 'b', 2, 'c', 1]);
    expect(here.provider.counts.dropped).toBe(2);
  });

  it('takes one name as often as it comes, in the room of one', () => {
    const here = tracedHere();
    const span = here.start('x');
    for (let n = 0; n <= 100_000; n++) span.setAttribute('progress', n);
    span.end();
    expect(here.span('x')).toMatchObject({ attributes: { progress: 100_000 }, droppedAttributesCount: 0 });
    expect(here.span('x').bytes).toBeLessThan(400);
  });

  it('finds repeated names among many', () => {
    const names = Array.from({ length: 40 }, (_, at) => `n${at}`);
    const here = tracedHere();
    const span = here.start('x');
    for (const name of [...names, ...names]) span.setAttribute(name, name);
    span.end();
    expect(here.span('x').pairs).toHaveLength(80);
    expect(Object.keys(here.span('x').attributes)).toEqual(names);
  });

  it('keeps a span within its bytes: cuts a text, leaves out the rest, counts it', () => {
    const here = tracedHere({ limits: { maxSpanBytes: 4096 } });
    const span = here.start('x');
    span
      .setAttribute('a', 'x'.repeat(3000))
      .setAttribute('b', 'x'.repeat(3000))
      .setAttribute('c', 'x'.repeat(3000));
    for (let at = 0; at < 50; at++) span.addLink({ context: caller(1), attributes: { a: 'y'.repeat(100) } });
    span.end();
    const { attributes, droppedAttributesCount, bytes, links, droppedLinksCount } = here.span('x');
    expect(attributes['a']).toHaveLength(3000);
    expect((attributes['b'] as string).length).toBeLessThan(1000);
    expect(attributes).not.toHaveProperty('c');
    expect(droppedAttributesCount).toBe(1);
    expect(links.length + droppedLinksCount).toBe(50);
    expect(bytes).toBeLessThanOrEqual(4096 + 1);
  });

  it('lets old events make room for new ones, by number and by bytes', () => {
    const here = tracedHere({ limits: { maxEvents: 3, maxSpanBytes: 4096 } });
    const many = here.start('many');
    for (let n = 0; n < 10; n++) many.addEvent(`e${n}`);
    many.end();
    expect(here.span('many').events.map(({ name }) => name)).toEqual(['e7', 'e8', 'e9']);
    expect(here.span('many').droppedEventsCount).toBe(7);
    const big = here.start('big');
    for (let n = 0; n < 3; n++) big.addEvent(`e${n}`, { text: 'x'.repeat(1800) });
    big.end();
    expect(here.span('big').events.map(({ name }) => name)).toEqual(['e1', 'e2']);
    expect(here.span('big').bytes).toBeLessThanOrEqual(4096);
    expect(here.provider.counts.dropped).toBe(8);
  });

  it('takes events as the api lets them be given', () => {
    const here = tracedHere();
    const at = 1_700_000_000_123;
    here
      .start('x')
      .addEvent('now')
      .addEvent('attributes', { a: 1 })
      .addEvent('date', new Date(at))
      .addEvent('hr', [1_700_000_000, 123_000_000])
      .addEvent('both', { a: 1 }, at)
      .addEvent('broken', { a: 1 }, {} as never)
      .end();
    expect(here.span('x').events.map(({ atMs, attributes }) => [atMs - at, attributes])).toEqual([
      [-123, {}],
      [-123, { a: 1 }],
      [0, {}],
      [0, {}],
      [0, { a: 1 }],
      [-123, { a: 1 }],
    ]);
  });

  it('counts the message of a failure, and cuts it to what room there is', () => {
    const here = tracedHere();
    const message = 'm'.repeat(9000);
    here.start('x').setStatus({ code: 2, message }).end();
    expect(here.span('x').bytes).toBeGreaterThan(9000);
    const full = here.start('full').setAttributes({ a: 'x'.repeat(9000) });
    full.setStatus({ code: 2, message }).setStatus({ code: 2, message }).setAttribute('b', 'x'.repeat(9000));
    full.end();
    expect(here.span('full').bytes).toBeLessThanOrEqual(16_384);
    expect(here.span('full').status.message?.length).toBeGreaterThan(7000);
    const fuller = here.start('fuller').setAttributes({ a: 'x'.repeat(9000), b: 'y'.repeat(9000) });
    fuller.setStatus({ code: 2, message }).updateName('renamed').end();
    expect(here.span('renamed').status.message).toBe('m'.repeat(64));
  });

  it('takes no status that is none', () => {
    const here = tracedHere();
    const span = here.start('x').setStatus({ code: 2, message: 'first' });
    const bad = {
      get code() {
        throw new Error('no');
      },
    };
    for (const status of [null, undefined, bad, {}, { code: 7 }]) span.setStatus(status as never);
    span.end();
    expect(here.span('x').status).toEqual({ code: 2, message: 'first' });
  });

  it('takes no link that a collector would refuse, or that throws, and keeps none that may change', () => {
    const here = tracedHere();
    const { traceId, spanId } = caller(1);
    const changing = { traceId, spanId, traceFlags: 0x1ff, isRemote: true, traceState: 'a=b' };
    const span = here.start('x');
    const fault = () => {
      throw new Error('no');
    };
    const bad = [
      { context: { traceId: '1-5759e988-bd862e3fe1be46a994272793', spanId, traceFlags: 1 } },
      { context: { traceId: traceId.slice(16), spanId, traceFlags: 1 } },
      { context: { traceId: '0'.repeat(32), spanId, traceFlags: 1 } },
      { context: { traceId, spanId: '', traceFlags: 1 } },
      { context: { traceId, spanId: { toString: () => spanId }, traceFlags: 1 } },
      {
        context: {
          traceId,
          spanId,
          get traceFlags() {
            return fault();
          },
        },
      },
      {
        get context() {
          return fault();
        },
      },
      {
        context: caller(1),
        get attributes() {
          return fault();
        },
      },
      null,
      revoked.proxy,
    ];
    for (const link of bad) span.addLink(link as never);
    span.addLinks([{ context: changing as never }]);
    for (const links of [null, 7, revoked.proxy]) span.addLinks(links as never);
    changing.traceId = 'changed';
    span.end();
    expect(here.span('x').links.map(({ context }) => context)).toEqual([
      { traceId, spanId, traceFlags: 0xff, isRemote: true },
    ]);
    expect(here.span('x').droppedLinksCount).toBe(bad.length + 3);
  });

  it('takes links, and no more than may be, and none that lead nowhere', () => {
    const here = tracedHere({ limits: { maxLinks: 2 } });
    const span = here.start('x');
    span.addLinks([
      undefined as never,
      { context: {} as never },
      { context: caller(1), attributes: { a: 1 } },
    ]);
    span
      .addLink({ context: caller(0) })
      .addLink({ context: caller(1) })
      .end();
    expect(here.span('x').links.map(({ attributes }) => attributes)).toEqual([{ a: 1 }, {}]);
    expect(here.span('x').droppedLinksCount).toBe(3);
  });
});
