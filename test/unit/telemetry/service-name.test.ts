import { carrier, createCall, trustedPeer } from 'keelson/core';
import { callerOf } from 'keelson/telemetry';
import { describe, expect, it } from 'vitest';

function callFrom(name: string | undefined, { trusted = true, side = 'server' as 'server' | 'client' } = {}) {
  const headers = carrier(name === undefined ? {} : { 'x-md-service-name': name });
  const call = createCall({ side, service: 'orders', operation: 'GET', headers });
  if (trusted) call.values.set(trustedPeer, true);
  return call;
}

describe('callerOf', () => {
  it('tells each of many names, in whatever order they come', () => {
    // More than are remembered, so that many share a place.
    const names = Array.from({ length: 300 }, (_, at) => `service-${at}`);
    for (let round = 0; round < 3; round++)
      for (const name of [...names, ...names.toReversed()])
        expect(callerOf(callFrom(Buffer.from(name).toString('latin1')))).toBe(name);
  });

  it.each(['', ' ', 'a b', 'a\nb', '<script>', 'ü', 'x'.repeat(129)])('takes %j for no name', (name) => {
    for (let round = 0; round < 2; round++) expect(callerOf(callFrom(name))).toBeUndefined();
  });

  it('believes trusted peers of servers alone', () => {
    expect(callerOf(callFrom('web'))).toBe('web');
    expect(callerOf(callFrom('web', { trusted: false }))).toBeUndefined();
    expect(callerOf(callFrom('web', { side: 'client' }))).toBeUndefined();
    expect(callerOf(callFrom(undefined))).toBeUndefined();
  });
});
