import fc from 'fast-check';
import {
  acceptMetadata,
  type Call,
  carrier,
  compose,
  createCall,
  forwardMetadata,
  metadataKey,
  metadataOf,
  runWithCall,
  trustedPeer,
} from 'keelson/core';
import { describe, expect, it } from 'vitest';

const name = fc.oneof(
  fc.stringMatching(/^x-md-global-[a-z0-9]{1,12}$/),
  fc.stringMatching(/^x-md-local-[a-z0-9]{1,12}$/),
  fc.stringMatching(/^[a-z]{1,12}$/),
);
/** Whatever the parser of a wire may let through. */
const bytes = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.stringMatching(/^[ -~]{0,200}$/),
);
const headers = fc.dictionary(name, bytes, { maxKeys: 60, noNullPrototype: true });
const limits = fc.record({ maxEntries: fc.nat(40), maxBytes: fc.nat(2000) });

const printable = /^(?:[!-~](?:[ -~]*[!-~])?)?$/;

describe('metadata that travels on', () => {
  it('stays within the limits of both ends, is global, portable and unchanged, and never fails a call', async () => {
    await fc.assert(
      fc.asyncProperty(headers, limits, limits, headers, async (came, inbound, outbound, own) => {
        const call = createCall({
          side: 'server',
          service: 'orders',
          operation: 'GET',
          headers: carrier(came),
        });
        call.values.set(trustedPeer, true);
        const server = compose<undefined, Call>([acceptMetadata(inbound)], async () => {
          const out = createCall({
            side: 'client',
            service: 'users',
            operation: 'GET',
            headers: carrier(own),
          });
          const client = compose<undefined, Call>([forwardMetadata(outbound)], async (_, sent) => sent);
          return runWithCall(call, () => client(undefined, out));
        });
        const sent = await server(undefined, call);
        const added = [...sent.headers.keys()].filter((key) => !(key in own));
        const size = added.reduce(
          (sum, key) => sum + key.length + (sent.headers.get(key) as string).length,
          0,
        );
        expect(added.length).toBeLessThanOrEqual(Math.min(inbound.maxEntries, outbound.maxEntries));
        expect(size).toBeLessThanOrEqual(Math.min(inbound.maxBytes, outbound.maxBytes));
        for (const key of added) {
          expect(key.startsWith('x-md-global-')).toBe(true);
          expect(sent.headers.get(key)).toBe(came[key]);
          expect(came[key]).toMatch(printable);
        }
        for (const key of Object.keys(own)) expect(sent.headers.get(key)).toBe(own[key]);
      }),
      { numRuns: 300 },
    );
  });

  it('loses nothing that fits', async () => {
    const few = fc.dictionary(
      fc.stringMatching(/^x-md-global-[a-z]{1,8}$/),
      fc.stringMatching(/^[!-~]{0,40}$/),
      {
        maxKeys: 32,
        noNullPrototype: true,
      },
    );
    await fc.assert(
      fc.asyncProperty(few, async (came) => {
        const call = createCall({
          side: 'server',
          service: 'orders',
          operation: 'GET',
          headers: carrier(came),
        });
        call.values.set(trustedPeer, true);
        const client = compose<undefined, Call>([forwardMetadata()], async (_, sent) => sent);
        const out = createCall({ side: 'client', service: 'users', operation: 'GET' });
        const sent = await runWithCall(call, () => client(undefined, out));
        expect(
          Object.fromEntries([...sent.headers.keys()].map((key) => [key, sent.headers.get(key)])),
        ).toEqual(came);
      }),
    );
  });

  it('is set as it is read, or refused', () => {
    const key = metadataKey('x-md-global-a');
    fc.assert(
      fc.property(bytes, (value) => {
        const call = createCall({ side: 'server', service: 'orders', operation: 'GET' });
        if (printable.test(value)) {
          metadataOf(call).set(key, value);
          expect(metadataOf(call).get(key)).toBe(value);
        } else {
          expect(() => metadataOf(call).set(key, value)).toThrow(TypeError);
          expect(metadataOf(call).get(key)).toBeUndefined();
        }
      }),
    );
  });
});
