import { type Instant, instanceStore } from 'keelson/registry';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { ClientWrites } from '../../../src/registry/client-writes.js';

const second = 1_000_000_000n;
/** @param aheadMs - of the clock of the cluster */
const at = (ms: number, aheadMs = 0): Instant => {
  const ns = 1_000n * second + BigInt(ms) * 1_000_000n;
  return { ms, ns, clusterNs: ns + BigInt(aheadMs) * 1_000_000n };
};
const id = (hostname: string) => ({ env: 'e', appid: 'a', zone: 'z', hostname });
const said = { region: '', addrs: ['http://a:1'], version: '', status: 1, metadata: new Map() } as const;

function make(limit = 10) {
  const store = instanceStore({ cancelledMs: 60_000 });
  const writes = new ClientWrites(store, limit);
  const register = (hostname: string, when: Instant) => {
    store.register({ ...id(hostname), ...said }, when);
    writes.note(id(hostname), when);
  };
  const versions = (when: Instant) => {
    const { records, cancelled, renewals } = writes.corrected(when);
    expect(renewals).toEqual([]);
    return [...records, ...cancelled].map(({ hostname, dirty = 0n, idleMs }) => [
      hostname,
      Number((dirty - at(0).ns) / 1_000_000n),
      idleMs,
    ]);
  };
  return { store, writes, register, versions };
}

describe('what clients wrote before the time was known', () => {
  it('gets the time of the cluster at which it was made, once', () => {
    const { store, writes, register, versions } = make();
    register('h', at(1_000));
    register('gone', at(2_000));
    store.cancel(id('gone'), at(3_000));
    writes.note(id('gone'), at(3_000));
    writes.note(id('unknown'), at(3_000));
    // Clocks differ by some milliseconds anyway.
    expect(versions(at(5_000, 10))).toEqual([]);
    expect(versions(at(6_000, 600_000))).toEqual([
      ['h', 601_000, 5_000],
      ['gone', 603_000, 3_000],
    ]);
    expect(versions(at(7_000, 600_000))).toEqual([]);
    expect(versions(at(7_000, 700_000))).toEqual([
      ['h', 701_000, 6_000],
      ['gone', 703_000, 4_000],
    ]);
  });

  it('stays as it is where its version is ahead already', () => {
    const { store, writes, versions } = make();
    store.register({ ...id('h'), ...said, dirty: at(900_000).ns }, at(0));
    store.register({ ...id('h'), ...said, version: '2' }, at(1_000));
    writes.note(id('h'), at(1_000));
    expect(versions(at(2_000, 600_000))).toEqual([]);
  });

  it('is the last of each instance, of so many, for as long as anything could compete with it', () => {
    const { writes, register, versions } = make(3);
    for (const [ms, hostname] of ['a', 'b', 'c', 'd', 'b'].entries()) register(hostname, at(ms));
    writes.expire(60_003);
    expect(versions(at(70_000, 1_000)).map(([hostname]) => hostname)).toEqual(['d', 'b']);
    writes.clear();
    expect(versions(at(70_000, 9_000))).toEqual([]);
  });
});
