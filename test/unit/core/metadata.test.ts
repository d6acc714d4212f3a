import {
  type Call,
  carrier,
  compose,
  createCall,
  type ForwardMetadataOptions,
  forwardMetadata,
  runWithCall,
  trustedPeer,
} from 'keelson/core';
import { describe, expect, it } from 'vitest';

const outgoing = (headers = {}) =>
  createCall({ side: 'client', service: 'users', operation: 'GET', headers: carrier(headers) });

/** What a client sends while an inbound call with these headers is served. */
async function sent(
  inbound: Record<string, string>,
  options?: ForwardMetadataOptions,
  own = {},
  trusted = true,
) {
  const handler = compose<undefined, Call>([forwardMetadata(options)], async (_, call) => call);
  const from = createCall({ side: 'server', service: 'orders', operation: 'GET', headers: carrier(inbound) });
  if (trusted) from.values.set(trustedPeer, true);
  const { headers } = await runWithCall(from, () => handler(undefined, outgoing(own)));
  return Object.fromEntries([...headers.keys()].map((name) => [name, headers.get(name)]));
}

describe('forwardMetadata', () => {
  it('sends the global metadata of the inbound call along, and nothing else', async () => {
    const inbound = {
      'X-MD-Global-Color': 'red',
      'x-md-local-caller': 'web',
      authorization: 'me',
      traceparent: 't',
    };
    expect(await sent(inbound)).toEqual({ 'x-md-global-color': 'red' });
  });

  it('lets the call itself go first', async () => {
    expect(await sent({ 'x-md-global-color': 'red' }, {}, { 'x-md-global-color': 'blue' })).toEqual({
      'x-md-global-color': 'blue',
    });
  });

  it('believes only trusted peers, and needs no inbound call', async () => {
    expect(await sent({ 'x-md-global-color': 'red' }, {}, {}, false)).toEqual({});
    const handler = compose<undefined, Call>([forwardMetadata()], async (_, call) => call);
    expect([...(await handler(undefined, outgoing({ a: 'b' }))).headers.keys()]).toEqual(['a']);
  });

  it('bounds entries and characters', async () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`x-md-global-${i}`, 'v']));
    expect(Object.keys(await sent(many))).toHaveLength(32);
    expect(Object.keys(await sent(many, { maxEntries: 2 }))).toHaveLength(2);
    expect(await sent(many, { maxEntries: 0 })).toEqual({});
    const long = { 'x-md-global-a': 'v'.repeat(5000), 'x-md-global-b': 'v' };
    expect(await sent(long)).toEqual({ 'x-md-global-b': 'v' });
    expect(await sent(long, { maxBytes: 13 })).toEqual({});
    expect(await sent(long, { maxBytes: 14 })).toEqual({ 'x-md-global-b': 'v' });
  });

  it('takes another prefix', async () => {
    expect(await sent({ 'x-shop-a': '1', 'x-md-global-b': '2' }, { prefix: 'x-shop-' })).toEqual({
      'x-shop-a': '1',
    });
  });

  it.each([[{ maxEntries: -1 }], [{ maxBytes: 1.5 }], [{ nope: 1 }]])('refuses %o', (options) => {
    expect(() => forwardMetadata(options as ForwardMetadataOptions)).toThrow();
  });
});
