import { instanceStore } from 'keelson/registry';
import { manualClock, seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { resolveLimits } from '../../../src/registry/limits.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { PeerLink } from '../../../src/registry/peer-link.js';

const id = { env: 'e', appid: 'a', zone: 'z', hostname: 'h' };
const record = { ...id, addrs: ['http://a:1'], status: 1, dirty_timestamp: 1 };

describe('a peer that is never content', () => {
  it.each([
    ['lacks whatever it is told', { missing: [id] }],
    ['knows an older version for good', { records: [record] }],
  ])('is not told without a pause: it %s', async (_, data) => {
    const clock = manualClock();
    let merges = 0;
    const transport = {
      send: async ({ url }: { url: string }) => {
        await new Promise<void>((resolve) => void clock.after(1, resolve));
        if (url.endsWith('/merge')) merges++;
        return { status: 200, body: JSON.stringify({ code: 0, data }) };
      },
      close: () => undefined,
    };
    const store = instanceStore();
    const at = { ms: 0, ns: 5n };
    store.register(
      { ...id, region: '', addrs: ['http://a:1'], version: '', status: 1, metadata: new Map() },
      at,
    );
    const link = new PeerLink(
      {
        ...{ transport, clock, timeoutMs: 1_000, node: 'own', store, random: seededRandom(1) },
        ...{ queueLimit: 10, batchBytes: 100_000, now: () => at, onStatus: () => undefined },
        read: () => ({ limits: resolveLimits({}), at, idleMsOf: () => 0 }),
        absorb: ({ records }, from) => {
          for (const known of records) from.repair(known);
        },
      },
      '10.0.0.1:1',
      '',
    );
    link.push(id, 'state');
    await clock.advance(10_000);
    expect(merges).toBeGreaterThan(1);
    // Five times a second.
    expect(merges).toBeLessThanOrEqual(50);
    link.close();
    await clock.advance(1_000);
    const before = merges;
    await clock.advance(1_000);
    expect([merges - before, link.queued]).toEqual([0, 0]);
  });
});
