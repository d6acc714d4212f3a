import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { askPeer } from '../../../src/registry/peer-wire.js';

describe('a peer', () => {
  it('cannot fill the log with what went wrong', async () => {
    const body = JSON.stringify({ code: -500, message: `it ${'broke '.repeat(100_000)}` });
    const transport = { send: async () => ({ status: 200, body }), close: () => undefined };
    const asked = askPeer({ transport, clock: manualClock(), timeoutMs: 1_000 }, '10.0.0.1:1', {
      ...{ method: 'GET', path: '/', form: new URLSearchParams() },
    });
    await expect(asked).rejects.toThrow(/^code -500 it broke broke.{200,250}$/);
  });
});
