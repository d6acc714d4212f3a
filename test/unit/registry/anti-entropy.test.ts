import type { RegistryReply } from 'keelson/discovery';
import { instanceStore } from 'keelson/registry';
import { manualClock, seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { AntiEntropy } from '../../../src/registry/anti-entropy.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { resolveLimits } from '../../../src/registry/limits.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { PeerLink } from '../../../src/registry/peer-link.js';

describe('a comparison', () => {
  it.each([
    ['of ours', 200, { node: 'n', wall_ms: 5, synced: true, digest: '0'.repeat(4_096) }],
    ['of the original', 404, {}],
  ])('hears nothing of a peer %s that is none any more when it answers', async (_, status, data) => {
    const clock = manualClock();
    const heard: string[] = [];
    let answer = (_: RegistryReply): void => undefined;
    const sent: string[] = [];
    const transport = {
      send: ({ url }: { url: string }) => {
        sent.push(new URL(url).pathname);
        return new Promise<RegistryReply>((resolve) => {
          answer = resolve;
        });
      },
      close: () => undefined,
    };
    const store = instanceStore();
    const at = { ms: 0, ns: 0n };
    const common = {
      ...{ transport, clock, timeoutMs: 1_000, node: 'own', store },
      read: () => ({ limits: resolveLimits({}), at, idleMsOf: () => 0 }),
      absorb: () => heard.push('entries'),
      heard: () => heard.push('time'),
      ...{ random: seededRandom(1), queueLimit: 10, batchBytes: 1_000, now: () => at },
      onStatus: () => heard.push('status'),
    };
    const link = new PeerLink(common, '10.0.0.1:1', '');
    const comparison = new AntiEntropy(common, link).compare(true);
    const failed = expect(comparison).rejects.toThrow('no peer any more');
    link.close();
    answer({ status, body: JSON.stringify({ code: 0, data }) });
    await failed;
    expect([sent, heard]).toEqual([['/discovery/peer/digest'], []]);
  });
});
