import type { ServiceInstance } from 'keelson/discovery';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { ServiceView } from '../../../src/discovery/service-view.js';

const all: readonly ServiceInstance[] = Array.from({ length: 20 }, (_, n) => ({
  ...{ id: `i${n}`, service: 's', hostname: `h${n}`, addresses: [`http://h${n}:1`], version: '', zone: '' },
  ...{ env: '', region: '', weight: 100, status: 'up', metadata: {} },
}));

describe('instances that are held', () => {
  it('are let go although the source is away for a moment every now and then', async () => {
    const clock = manualClock();
    const view = new ServiceView({ clock, removalHoldMs: 60_000, minListRatio: 0.3 });
    view.accept(all);
    view.accept(all.slice(0, 3));
    await clock.advance(29_000);
    view.lose('away');
    await clock.advance(5_000);
    view.accept(all.slice(0, 3));
    await clock.advance(25_999);
    expect(view.current?.instances).toHaveLength(20);
    await clock.advance(1);
    expect([view.current?.instances.length, view.current?.stale]).toEqual([3, false]);
    view.close();
  });

  it.each([60_000, 5_000])(
    'for %i ms are let go although the source is away after each list',
    async (removalHoldMs) => {
      const clock = manualClock();
      const view = new ServiceView({ clock, removalHoldMs, minListRatio: 0.3 });
      view.accept(all);
      for (let at = 0; at < removalHoldMs; at += 15_000) {
        view.accept(all.slice(0, 3));
        view.lose('no watch');
        expect([view.current?.instances.length, view.current?.stale]).toEqual([20, true]);
        await clock.advance(15_000);
      }
      view.accept(all.slice(0, 3));
      expect([view.current?.instances.length, view.current?.stale]).toEqual([3, false]);
      view.close();
    },
  );

  it.each([
    ['says again that they are gone', 3],
    ['lists them', 20],
  ])('outlast their time while the source fails, until it %s', async (_, size) => {
    const clock = manualClock();
    const view = new ServiceView({ clock, removalHoldMs: 60_000, minListRatio: 0.3 });
    view.accept(all);
    view.accept(all.slice(0, 3));
    await clock.advance(59_000);
    view.doubt();
    await clock.advance(15_000);
    expect([view.current?.instances.length, view.current?.stale]).toEqual([20, true]);
    view.accept(all.slice(0, size));
    expect([view.current?.instances.length, view.current?.stale]).toEqual([size, false]);
    expect(clock.pending).toBe(0);
    view.close();
  });

  it('are not let go for want of a list: the time without one does not count', async () => {
    const clock = manualClock();
    const view = new ServiceView({ clock, removalHoldMs: 60_000, minListRatio: 0.3 });
    view.accept(all);
    view.accept(all.slice(0, 3));
    await clock.advance(30_000);
    view.lose('away');
    await clock.advance(600_000);
    view.accept(all.slice(0, 3));
    await clock.advance(29_000);
    expect(view.current?.instances).toHaveLength(20);
    await clock.advance(1_000);
    expect(view.current?.instances).toHaveLength(3);
    view.close();
  });
});
