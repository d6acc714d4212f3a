import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { ClusterTime } from '../../../src/registry/cluster-time.js';

const hour = 3_600_000;

describe('the time of the cluster', () => {
  it('is known of who told it, until that is forgotten', () => {
    const time = new ClusterTime();
    time.heard('a:1', 0, 600_000);
    expect([time.knows('a:1'), time.knows('b:1'), time.aheadMs]).toEqual([true, false, 0]);
    time.left('a:1', 0);
    expect(time.knows('a:1')).toBe(false);
  });

  it('stays for an hour when the peer with the fastest clock is none any more', () => {
    const time = new ClusterTime();
    time.heard('a:1', 600_000, 0);
    time.heard('b:1', 5_000, 0);
    time.left('a:1', 1_000);
    time.expire(1_000 + hour);
    expect(time.aheadMs).toBe(600_000);
    time.expire(1_001 + hour);
    expect(time.aheadMs).toBe(5_000);
  });

  it('goes on when that peer comes back', () => {
    const time = new ClusterTime();
    time.heard('a:1', 600_000, 0);
    time.left('a:1', 0);
    time.heard('a:1', 700_000, 0);
    time.expire(2 * hour);
    expect(time.aheadMs).toBe(700_000);
  });

  it('is not kept of any number of peers that came and went', () => {
    const time = new ClusterTime();
    for (let n = 0; n < 200; n++) {
      time.heard(`10.0.0.1:${n}`, 10_000 - n, 0);
      time.left(`10.0.0.1:${n}`, 0);
    }
    // The last 64 of them.
    expect(time.aheadMs).toBe(10_000 - 136);
  });
});
