import type { DiscoveryEvent, Resolution, ServiceInstance } from 'keelson/discovery';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { type Follow, FollowedService, type Publish } from '../../../src/discovery/followed-service.js';

const instance = (id: string, more: Partial<ServiceInstance> = {}): ServiceInstance => ({
  id,
  service: 'users',
  hostname: `host-${id}`,
  addresses: [`http://10.0.0.1:80${id}`],
  version: '',
  zone: '',
  env: '',
  region: '',
  weight: 100,
  status: 'up',
  metadata: {},
  ...more,
});

interface Run {
  readonly at: number;
  readonly publish: Publish;
  readonly signal: AbortSignal;
  readonly end: (error?: Error) => void;
}

function followed(options: { random?: () => number; forgetful?: boolean; each?: (run: Run) => void } = {}) {
  const clock = manualClock();
  const begun = clock.now();
  const runs: Run[] = [];
  const events: DiscoveryEvent[] = [];
  const shown: Resolution[] = [];
  const follow: Follow = (publish, signal) =>
    new Promise((resolve, reject) => {
      const end = (error?: Error): void => (error ? reject(error) : resolve());
      const run = { at: Math.round(clock.now() - begun), publish, signal, end };
      runs.push(run);
      options.each?.(run);
    });
  const service = new FollowedService({
    service: 'users',
    follow,
    clock,
    random: options.random ?? (() => 0.5),
    removalHoldMs: 60_000,
    minListRatio: 0,
    forgetful: options.forgetful ?? false,
    tell: (event) => events.push(event),
  });
  service.view.subscribe((resolution) => shown.push(resolution));
  return {
    clock,
    runs,
    events,
    service,
    shown,
    last: () => shown.at(-1),
    run: () => runs.at(-1) as Run,
    ids: () => shown.at(-1)?.instances.map(({ id }) => id),
  };
}

describe('a followed service', () => {
  it('shows who is up, each once', () => {
    const { run, shown } = followed();
    run().publish([
      instance('2'),
      instance('1'),
      instance('3', { status: 'waiting' }),
      instance('1', { version: 'b' }),
    ]);
    expect(shown).toEqual([
      { instances: [instance('1', { version: 'b' }), instance('2')], stale: false, reason: undefined },
    ]);
  });

  it('says at once why there is nothing when the first watch fails', async () => {
    const { clock, run, shown } = followed();
    run().end(new Error('connect ECONNREFUSED'));
    await clock.advance(0);
    expect(shown).toEqual([{ instances: [], stale: true, reason: 'connect ECONNREFUSED' }]);
  });

  it('shows the list as stale when each run says it, and ends at once', async () => {
    const { clock, run, last, events } = followed();
    for (let round = 0; round < 3; round++) {
      expect(last()?.stale).not.toBe(true);
      run().publish([instance('1')]);
      run().end(new Error('too old'));
      await clock.advance(0);
      if (round < 2) await clock.advance(5_000);
    }
    expect([last()?.stale, last()?.reason, last()?.instances.length]).toEqual([true, 'too old', 1]);
    await clock.advance(5_000);
    run().publish([instance('1')]);
    expect(last()?.stale).toBe(false);
    expect(events.map(({ type }) => type)).toEqual(['stale', 'fresh']);
  });

  it('does not take the time before the first list for a watch that stood', async () => {
    const { clock, run, last, shown } = followed();
    for (let round = 0; round < 3; round++) {
      await clock.advance(15_000);
      run().publish([instance('1')]);
      run().end(new Error('too old'));
      await clock.advance(0);
    }
    expect([last()?.stale, last()?.reason]).toEqual([true, 'too old']);
    await clock.advance(2_000);
    run().publish([instance('1')]);
    await clock.advance(10_000);
    run().end();
    await clock.advance(0);
    // That one stood.
    expect(shown.map(({ stale }) => stale)).toEqual([false, true, false]);
  });

  it.each([
    ['an empty list', false, [], []],
    ['any list where the registry may forget', true, [instance('1')], ['1']],
  ])('believes %s in the end although no watch ever stands', async (_, forgetful, later, left) => {
    let lists = 0;
    const { clock, ids, last, runs } = followed({
      forgetful,
      random: () => 1,
      each: ({ publish, end }) => {
        publish(lists++ === 0 ? [instance('1'), instance('2')] : later);
        end(new Error('watching is forbidden'));
      },
    });
    await clock.advance(55_000);
    expect([ids(), last()?.stale]).toEqual([['1', '2'], true]);
    await clock.advance(25_000);
    expect([ids(), last()?.stale]).toEqual([left, true]);
    expect(runs.length).toBeLessThan(12);
  });

  it('takes one break for a blip, and shows the last good list as stale after a second', async () => {
    const { clock, run, runs, shown, last, ids, events } = followed();
    run().publish([instance('1')]);
    run().end();
    await clock.advance(1_000);
    expect(runs).toHaveLength(2);
    run().publish([instance('1')]);
    run().end(new Error('reset'));
    await clock.advance(2_000);
    run().end(new Error('refused'));
    await clock.advance(5_000);
    expect(shown).toHaveLength(1);
    run().end(new Error('refused'));
    await clock.advance(0);
    expect(last()).toMatchObject({ stale: true, reason: 'refused' });
    expect(ids()).toEqual(['1']);
    await clock.advance(10_000);
    run().publish([instance('1'), instance('2')]);
    expect(last()).toMatchObject({ stale: false });
    expect(ids()).toEqual(['1', '2']);
    expect(events.map(({ type }) => type)).toEqual(['stale', 'fresh']);
  });

  it('comes back ever later, at random, and soon again after it stood', async () => {
    const { clock, runs, run } = followed({ random: () => 1, each: ({ end }) => end(new Error('no')) });
    await clock.advance(120_000);
    const gaps = runs.slice(1).map(({ at }, index) => at - (runs[index]?.at ?? 0));
    expect(gaps.slice(0, 7)).toEqual([600, 1_100, 2_100, 4_100, 8_100, 15_100, 15_100]);
    expect(run().signal.aborted).toBe(false);
  });

  it('is not driven round by a watch that tells and ends', async () => {
    const { clock, runs } = followed({
      each: ({ publish, end }) => {
        publish([instance('1')]);
        end();
      },
    });
    await clock.advance(60_000);
    expect(runs.length).toBeLessThan(20);
  });

  it('does not believe, for a while, a source that may have forgotten while it was away', async () => {
    const { clock, run, last, ids } = followed({ forgetful: true });
    run().publish([instance('1'), instance('2')]);
    run().end();
    await clock.advance(1_000);
    run().publish([instance('2')]);
    expect(ids()).toEqual(['1', '2']);
    expect(last()).toMatchObject({ stale: true });
    await clock.advance(60_000);
    expect(ids()).toEqual(['2']);
    expect(last()).toMatchObject({ stale: false });
  });

  it('hears nothing of a watch that has ended', async () => {
    const { clock, runs, ids } = followed();
    runs[0]?.publish([instance('1')]);
    runs[0]?.end();
    await clock.advance(1_000);
    runs[1]?.publish([instance('2')]);
    runs[0]?.publish([instance('1')]);
    expect(ids()).toEqual(['2']);
  });

  it('ends a watch that does not listen, and starts no other', async () => {
    const { clock, runs, run, service, shown } = followed();
    run().publish([instance('1')]);
    service.close();
    expect(run().signal.aborted).toBe(true);
    run().publish([instance('2')]);
    await clock.advance(1_000_000);
    expect(runs).toHaveLength(1);
    expect(shown).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it('complains of the same once', () => {
    const { run, events } = followed();
    run().publish([], ['a is not JSON', 'b has no id']);
    run().publish([instance('1')], ['a is not JSON', 'b has no id']);
    run().publish([instance('1')]);
    run().publish([instance('1')], ['a is not JSON']);
    expect(events.filter(({ type }) => type === 'malformed').map(({ reason }) => reason)).toEqual([
      'a is not JSON, and 1 more left out',
      'a is not JSON',
    ]);
  });
});
