import {
  type AcceptMetadataOptions,
  acceptMetadata,
  type Call,
  type Carrier,
  carrier,
  compose,
  createCall,
  type ForwardMetadataOptions,
  forwardMetadata,
  type MetadataDrop,
  metadataKey,
  metadataOf,
  percentEncoded,
  runWithCall,
  runWithoutCall,
  trustedPeer,
} from 'keelson/core';
import { describe, expect, it } from 'vitest';

const color = metadataKey('x-md-global-color');
const caller = metadataKey('x-md-local-caller');

const outgoing = (headers: Record<string, string> | Carrier = {}) =>
  createCall({
    side: 'client',
    service: 'users',
    operation: 'GET',
    headers:
      'get' in headers && typeof headers.get === 'function'
        ? (headers as Carrier)
        : carrier(headers as never),
  });

const incoming = (headers: Record<string, string> = {}, trusted = true) => {
  const call = createCall({ side: 'server', service: 'orders', operation: 'GET', headers: carrier(headers) });
  if (trusted) call.values.set(trustedPeer, true);
  return call;
};

const all = ({ headers }: Call) =>
  Object.fromEntries([...headers.keys()].map((name) => [name, headers.get(name)]));

/** What a client sends while an inbound call is served. */
async function sent(
  from: Call | undefined,
  options?: ForwardMetadataOptions,
  own: Record<string, string> | Carrier = {},
) {
  const handler = compose<undefined, Call>([forwardMetadata(options)], async (_, call) => call);
  const send = () => handler(undefined, outgoing(own));
  return all(await (from === undefined ? send() : runWithCall(from, send)));
}

/** The same call after a server took its metadata. */
async function accepted(options: AcceptMetadataOptions, call: Call): Promise<Call> {
  await compose<undefined, void>([acceptMetadata(options)], async () => undefined)(undefined, call);
  return call;
}

describe('forwardMetadata', () => {
  it('sends the global metadata of the inbound call along, and nothing else', async () => {
    const inbound = {
      'X-MD-Global-Color': 'red',
      'x-md-local-caller': 'web',
      authorization: 'me',
      traceparent: 't',
    };
    expect(await sent(incoming(inbound))).toEqual({ 'x-md-global-color': 'red' });
  });

  it('believes only trusted peers, and needs no inbound call', async () => {
    expect(await sent(incoming({ 'x-md-global-color': 'red' }, false))).toEqual({});
    expect(await sent(undefined, {}, { a: 'b' })).toEqual({ a: 'b' });
  });

  it('lets the call itself go first, then the handler, then the constants, then what came in', async () => {
    const constants = { 'x-md-global-color': 'green', 'x-md-local-caller': 'orders' };
    const came = () => incoming({ 'x-md-global-color': 'red' });
    const told = came();
    metadataOf(told).set(color, 'blue');
    expect(await sent(told, { constants }, { 'X-MD-Global-Color': 'own' })).toEqual({
      'x-md-global-color': 'own',
      'x-md-local-caller': 'orders',
    });
    expect((await sent(told, { constants }))['x-md-global-color']).toBe('blue');
    expect((await sent(came(), { constants }))['x-md-global-color']).toBe('green');
    expect((await sent(came()))['x-md-global-color']).toBe('red');
    expect(await sent(undefined, { constants })).toEqual(constants);
  });

  it('bounds entries and characters, of what goes out as of what comes in', async () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`x-md-global-${i}`, 'v']));
    expect(Object.keys(await sent(incoming(many)))).toHaveLength(32);
    expect(Object.keys(await sent(incoming(many), { maxEntries: 2 }))).toHaveLength(2);
    expect(await sent(incoming(many), { maxEntries: 0 })).toEqual({});
    expect(Object.keys(await sent(await accepted({ maxEntries: 3 }, incoming(many))))).toHaveLength(3);
    const long = { 'x-md-global-a': 'v'.repeat(5000), 'x-md-global-b': 'v' };
    expect(await sent(incoming(long))).toEqual({ 'x-md-global-b': 'v' });
    expect(await sent(incoming(long), { maxBytes: 13 })).toEqual({});
    expect(await sent(incoming(long), { maxBytes: 14 })).toEqual({ 'x-md-global-b': 'v' });
    expect(await sent(await accepted({ maxBytes: 13 }, incoming(long)))).toEqual({});
  });

  it('leaves out what is not printable ASCII, and what the wire does not take', async () => {
    const bad = {
      'x-md-global-a': 'caf\u00e9',
      'x-md-global-b': 'a\u0000b',
      'x-md-global-c': ' blank',
      'x-md-global-d': 'two words',
      'x-md-global-e': '',
    };
    expect(await sent(incoming(bad))).toEqual({ 'x-md-global-d': 'two words', 'x-md-global-e': '' });
    const drops: MetadataDrop[] = [];
    const strict: Carrier = {
      get: () => undefined,
      set: () => {
        throw new TypeError('no');
      },
      keys: () => [],
    };
    const options = { onDrop: (drop: MetadataDrop) => drops.push(drop) };
    expect(await sent(incoming({ 'x-md-global-a': 'v' }), options, strict)).toEqual({});
    expect(drops).toEqual([{ reason: 'value', name: 'x-md-global-a' }]);
  });

  it.each([
    [{ maxEntries: -1 }],
    [{ maxBytes: 1.5 }],
    [{ nope: 1 }],
    [{ constants: { 'X-MD-A': 'v' } }],
    [{ constants: { 'x-md-a': 'caf\u00e9' } }],
    [{ constants: { 'x-md-a': 1 } }],
    [{ constants: { authorization: 'v' } }],
    [{ constants: 5 }],
    [{ onDrop: 'no' }],
  ])('refuses %o', (options) => {
    expect(() => forwardMetadata(options as ForwardMetadataOptions)).toThrow(/forwardMetadata/);
  });
});

describe('acceptMetadata', () => {
  it('gives each call constants, which hold against its peer and without trust', async () => {
    const region = metadataKey('x-md-global-region');
    const options = { constants: { 'x-md-global-region': 'eu' } };
    for (const trusted of [true, false]) {
      const call = await accepted(
        options,
        incoming({ 'x-md-global-region': 'us', 'x-md-global-color': 'red' }, trusted),
      );
      expect(metadataOf(call).get(region)).toBe('eu');
      expect(metadataOf(call).get(color)).toBe(trusted ? 'red' : undefined);
      expect(await sent(call)).toEqual({
        'x-md-global-region': 'eu',
        ...(trusted && { 'x-md-global-color': 'red' }),
      });
    }
  });

  it('takes names of others, for chains with Kratos v1', async () => {
    const options = { globalPrefixes: ['x-md-global-', 'x-bm-metadata-'], localPrefixes: ['x-shop-'] };
    const call = await accepted(
      options,
      incoming({
        'x-bm-metadata-color': 'red',
        'x-shop-a': '1',
        'x-md-local-caller': 'web',
        'x-md-global-b': '2',
      }),
    );
    expect(metadataOf(call).get(metadataKey('x-bm-metadata-color'))).toBe('red');
    expect(metadataOf(call).get(metadataKey('x-shop-a'))).toBe('1');
    expect(metadataOf(call).get(caller)).toBeUndefined();
    expect(await sent(call)).toEqual({ 'x-bm-metadata-color': 'red', 'x-md-global-b': '2' });
  });

  it('tells of what is left out once for each reason, whatever the listener does', async () => {
    const drops: MetadataDrop[] = [];
    const middleware = acceptMetadata<undefined, void>({
      maxEntries: 1,
      maxBytes: 30,
      onDrop: (drop) => {
        drops.push(drop);
        throw new Error('listener');
      },
    });
    const handler = compose([middleware], async (_, call) => void metadataOf(call).get(color));
    for (let i = 0; i < 3; i++) {
      await handler(
        undefined,
        incoming({ 'x-md-global-a': 'caf\u00e9', 'x-md-global-b': 'v', 'x-md-global-c': 'v' }),
      );
      await handler(undefined, incoming({ 'x-md-global-a': 'v'.repeat(50) }));
    }
    expect(drops).toEqual([
      { reason: 'value', name: 'x-md-global-a' },
      { reason: 'entries', name: 'x-md-global-c' },
      { reason: 'bytes', name: 'x-md-global-a' },
    ]);
  });

  it('survives a listener that rejects', async () => {
    const call = await accepted(
      { maxEntries: 0, onDrop: (() => Promise.reject(new Error('listener'))) as never },
      incoming({ 'x-md-global-a': 'v' }),
    );
    expect(metadataOf(call).get(color)).toBeUndefined();
    await new Promise((resolve) => setImmediate(resolve));
  });

  it.each([
    [{ globalPrefixes: 'x-md-' }],
    [{ globalPrefixes: ['authorization'] }],
    [{ localPrefixes: ['X-MD-'] }],
    [{ constants: { host: 'v' } }],
    [{ maxEntries: 0.5 }],
    [{ maxBytes: -1 }],
    [{ prefix: 'x-' }],
  ])('refuses %o', (options) => {
    expect(() => acceptMetadata(options as never)).toThrow(/acceptMetadata/);
  });
});

describe('metadataOf', () => {
  it('reads what came in, and what was set', () => {
    const call = incoming({ 'x-md-global-color': 'red', 'x-md-local-caller': 'web' });
    runWithCall(call, () => {
      expect([metadataOf().get(color), metadataOf().get(caller)]).toEqual(['red', 'web']);
      metadataOf().set(caller, 'orders');
      expect(metadataOf().get(caller)).toBe('orders');
    });
    expect(metadataOf(call).get(caller)).toBe('orders');
  });

  it('sets what goes to all callees, from then on', async () => {
    const call = incoming();
    expect(await sent(call)).toEqual({});
    metadataOf(call).set(caller, 'orders');
    expect(await sent(call)).toEqual({ 'x-md-local-caller': 'orders' });
    expect(await sent(call)).toEqual({ 'x-md-local-caller': 'orders' });
    expect(await sent(incoming())).toEqual({});
  });

  it('is of one call in a client', () => {
    const call = outgoing();
    metadataOf(call).set(color, 'red');
    expect(all(call)).toEqual({ 'x-md-global-color': 'red' });
    expect(metadataOf(call).get(color)).toBe('red');
  });

  it('has nothing without a call, and says so when something is set', () => {
    expect(metadataOf().get(color)).toBeUndefined();
    expect(() => metadataOf().set(color, 'red')).toThrow('there is no current call');
    runWithCall(incoming({ 'x-md-global-color': 'red' }), () =>
      runWithoutCall(() => expect(metadataOf().get(color)).toBeUndefined()),
    );
  });

  it('refuses values that would not arrive, when they are set', () => {
    for (const bad of [
      'caf\u00e9',
      'a\nb',
      '\u{1f600}',
      ' a',
      'a ',
      '\u007f',
      5 as never,
      undefined as never,
    ]) {
      for (const call of [incoming(), outgoing()])
        expect(() => metadataOf(call).set(color, bad), String(bad)).toThrow(/x-md-global-color/);
    }
  });
});

describe('metadataKey', () => {
  it('reads and writes values that are no text', () => {
    const depth = metadataKey('x-md-global-depth', { parse: Number, format: String });
    const call = incoming({ 'x-md-global-depth': '41' });
    metadataOf(call).set(depth, (metadataOf(call).get(depth) ?? 0) + 1);
    expect(metadataOf(call).get(depth)).toBe(42);
  });

  it('carries text of any script when asked to', async () => {
    const user = metadataKey('x-md-global-user', percentEncoded);
    const call = incoming();
    metadataOf(call).set(user, 'Zoë 😀');
    const headers = await sent(call);
    expect(headers).toEqual({ 'x-md-global-user': 'Zo%C3%AB%20%F0%9F%98%80' });
    expect(metadataOf(incoming(headers as Record<string, string>)).get(user)).toBe('Zoë 😀');
  });

  it('takes what it cannot read for absent', () => {
    const user = metadataKey('x-md-global-user', percentEncoded);
    expect(metadataOf(incoming({ 'x-md-global-user': '%ff' })).get(user)).toBeUndefined();
  });

  it.each([
    '',
    'color',
    'X-MD-Color',
    'x-md-color-',
    'x-md-a b',
    'x-keelson-a',
    'x-md-bytes-bin',
    'x-\u00e9a',
    5,
  ])('refuses the name %o', (name) => {
    expect(() => metadataKey(name as string)).toThrow(/metadataKey/);
  });

  it('refuses half a codec', () => {
    expect(() => metadataKey('x-md-a', { parse: Number } as never)).toThrow(/codec/);
    expect(() => metadataKey('x-md-a', null as never)).toThrow(/codec/);
  });
});
