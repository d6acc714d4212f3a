import type { Resolution } from 'keelson/discovery';
import { type DnsOptions, dns } from 'keelson/discovery/dns';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

// What every resolver with a registry behind it does with a list that has lost most of what there was; shown by dns(),
// whose lists are the easiest to write.

/** A service of which a source lists the first so many of 20 instances. */
function listing(count: number, options: Partial<DnsOptions> = {}) {
  const clock = manualClock();
  const all = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, at) => ({ address: `10.0.0.${from + at}`, ttl: 1 }));
  let records = all(0, count);
  const asked = async () => records;
  const resolver = dns({
    services: { users: 'http://users.internal:80' },
    clock,
    random: () => 0.999999,
    resolver: { resolve4: asked, resolve6: asked, resolveSrv: async () => [] },
    ...options,
  });
  const pushed: Resolution[] = [];
  resolver.watch('users', (resolution) => pushed.push(resolution));
  return {
    clock,
    pushed,
    /** The source lists those from one number to another. */
    list: (from: number, to: number) => {
      records = all(from, to);
    },
    now: () => [pushed.at(-1)?.instances.length, pushed.at(-1)?.stale],
  };
}

describe('a list that lost most instances', () => {
  it('is believed at once down to the share that it takes', async () => {
    const { clock, list, now } = listing(20);
    await clock.advance(0);
    list(0, 8);
    await clock.advance(1_000);
    expect(now()).toEqual([8, false]);
    list(0, 3);
    await clock.advance(1_000);
    expect(now()).toEqual([3, false]);
  });

  it('is believed after the hold below that', async () => {
    const { clock, list, now, pushed } = listing(20);
    await clock.advance(0);
    list(0, 5);
    await clock.advance(1_000);
    expect(now()).toEqual([20, true]);
    expect(pushed.at(-1)?.reason).toMatch(/lists 5 of 20 instances/);
    await clock.advance(58_000);
    expect(now()).toEqual([20, true]);
    await clock.advance(3_000);
    expect(now()).toEqual([5, false]);
  });

  it('does not stay for ever while it goes on shrinking', async () => {
    const { clock, list, now } = listing(20);
    await clock.advance(0);
    for (let left = 5; left > 0; left--) {
      list(0, left);
      await clock.advance(20_000);
    }
    // The last of them left 20 s ago, in doubt as the others were when there were still 20.
    await clock.advance(60_000);
    expect(now()).toEqual([1, false]);
  });

  it('shows who comes meanwhile', async () => {
    const { clock, list, pushed } = listing(20);
    await clock.advance(0);
    list(18, 22);
    await clock.advance(1_000);
    expect(pushed.at(-1)?.instances).toHaveLength(22);
    await clock.advance(60_000);
    expect(pushed.at(-1)?.instances.map(({ hostname }) => hostname)).toEqual([
      '10.0.0.18',
      '10.0.0.19',
      '10.0.0.20',
      '10.0.0.21',
    ]);
  });

  it('is no loss when they have come back', async () => {
    const { clock, list, now, pushed } = listing(20);
    await clock.advance(0);
    list(0, 2);
    await clock.advance(10_000);
    list(0, 20);
    await clock.advance(1_000);
    expect(now()).toEqual([20, false]);
    expect(pushed).toHaveLength(3);
  });

  it('counts those that are there, not whether they are the same', async () => {
    const { clock, list, now } = listing(20);
    await clock.advance(0);
    list(30, 40);
    await clock.advance(1_000);
    expect(now()).toEqual([10, false]);
  });

  it.each([
    [0, 1, [1, false]],
    [0, 0, [20, true]],
    [0.5, 9, [20, true]],
    [0.5, 10, [10, false]],
    [1, 19, [20, true]],
  ])('with a ratio of %s and %s of 20 left shows %j', async (minListRatio, left, shown) => {
    const { clock, list, now } = listing(20, { minListRatio });
    await clock.advance(0);
    list(0, left);
    await clock.advance(1_000);
    expect(now()).toEqual(shown);
  });

  it('is believed at once without a hold', async () => {
    const { clock, list, now } = listing(20, { removalHoldMs: 0 });
    await clock.advance(0);
    list(0, 1);
    await clock.advance(1_000);
    expect(now()).toEqual([1, false]);
  });
});
