import type { DiscoveryEvent, ServiceInstance } from 'keelson/discovery';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { KeptRegistration } from '../../../src/discovery/kept-registration.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { NotRegistered, RegistryRefusal } from '../../../src/discovery/refusal.js';

const instance = { id: 'one', service: 'users' } as ServiceInstance;
const silence = new Error('nobody answers');

/** A registry that does what the script says, and is well when the script is over. */
function kept(script: readonly (Error | Promise<void> | 'ok')[], random = () => 0.5) {
  const clock = manualClock();
  const asked: string[] = [];
  const events: DiscoveryEvent[] = [];
  const answers = [...script];
  const step = (name: string) => async () => {
    asked.push(`${name}@${Math.round(clock.now() - begun)}`);
    const next = answers.shift() ?? 'ok';
    if (next instanceof Error) throw next;
    if (next !== 'ok') await next;
  };
  const begun = clock.now();
  const registration = new KeptRegistration(instance, {
    tenure: { put: step('put'), keep: step('keep'), remove: step('remove') },
    clock,
    random,
    renewMs: 10_000,
    requestTimeoutMs: 1_000,
    tell: (event) => events.push(event),
  });
  return { clock, asked, answers, registration, types: () => events.map(({ type }) => type), events };
}

describe('a kept registration', () => {
  it('writes once, then renews', async () => {
    const { clock, asked, registration, types } = kept([]);
    await registration.start();
    expect(registration.registered).toBe(true);
    await clock.advance(30_000);
    expect(asked).toEqual(['put@0', 'keep@9000', 'keep@18000', 'keep@27000']);
    expect(types()).toEqual(['registered']);
  });

  it('rejects when it is refused at first, and does no more', async () => {
    const { clock, asked, registration, types } = kept([new RegistryRefusal('no')]);
    await expect(registration.start()).rejects.toThrow('the registry refused users: no');
    await clock.advance(1_000_000);
    expect(asked).toEqual(['put@0']);
    expect(types()).toEqual(['refused']);
    expect(clock.pending).toBe(0);
  });

  it('resolves when nobody answers, and goes on trying', async () => {
    const { clock, asked, registration, events } = kept([silence, silence, silence]);
    await registration.start();
    expect(registration.registered).toBe(false);
    expect(asked).toEqual(['put@0', 'put@0']);
    await clock.advance(10_000);
    expect(registration.registered).toBe(true);
    expect(asked.slice(2, 4)).toEqual(['put@1100', 'put@3200']);
    expect(events.map(({ type, reason }) => [type, reason])).toEqual([
      ['lost', 'nobody answers'],
      ['registered', undefined],
    ]);
  });

  it('writes anew at once when a renewal finds nothing', async () => {
    const { clock, asked, registration, types } = kept(['ok', new NotRegistered('the lease is lost')]);
    await registration.start();
    await clock.advance(9_500);
    expect(asked).toEqual(['put@0', 'keep@9000', 'put@9000']);
    expect(types()).toEqual(['registered', 'lost', 'registered']);
  });

  it('writes anew at once when it is told that it is gone', async () => {
    const { clock, asked, registration, types } = kept([]);
    registration.gone('too early');
    await registration.start();
    await clock.advance(4_000);
    registration.gone('the session expired');
    expect(registration.registered).toBe(false);
    await clock.advance(1);
    expect(registration.registered).toBe(true);
    expect(asked).toEqual(['put@0', 'put@4000']);
    expect(types()).toEqual(['registered', 'lost', 'registered']);
  });

  it('keeps what it has through one failure, and calls it lost after two', async () => {
    const { clock, registration, types } = kept(['ok', silence, 'ok', silence, silence, silence]);
    await registration.start();
    await clock.advance(12_000);
    expect(types()).toEqual(['registered']);
    await clock.advance(60_000);
    expect(registration.registered).toBe(true);
    expect(types()).toEqual(['registered', 'lost', 'registered']);
  });

  it('never waits longer than for a renewal while nobody answers, nor hurries', async () => {
    const { clock, asked, registration } = kept(
      Array.from({ length: 500 }, () => silence),
      () => 1,
    );
    await registration.start();
    await clock.advance(600_000);
    const times = asked.map((line) => Number(line.split('@')[1])).slice(1);
    const gaps = times.slice(1).map((time, at) => time - (times[at] as number));
    expect(Math.max(...gaps)).toBeLessThanOrEqual(10_100);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(100);
    expect(asked.length).toBeGreaterThan(50);
  });

  it('is not driven round and round by a registry that forgets at once', async () => {
    const script = Array.from({ length: 500 }, (_, at) =>
      at % 2 === 0 ? ('ok' as const) : new NotRegistered('?'),
    );
    const { clock, asked, registration } = kept(script);
    await registration.start();
    await clock.advance(100_000);
    expect(asked.length).toBeLessThan(30);
  });

  it('lets a renewal under way end before it takes out, and renews no more', async () => {
    let answer: () => void = () => undefined;
    const slow = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const { clock, asked, registration, types } = kept(['ok', slow]);
    await registration.start();
    await clock.advance(9_000);
    const left = registration.deregister();
    expect(registration.deregister()).toBe(left);
    await clock.advance(100);
    expect(asked).toEqual(['put@0', 'keep@9000']);
    answer();
    await left;
    registration.gone('too late');
    await clock.advance(1_000_000);
    expect(asked).toEqual(['put@0', 'keep@9000', 'remove@9100']);
    expect(types()).toEqual(['registered', 'deregistered']);
    expect(clock.pending).toBe(0);
  });

  it('gives up taking out what nobody answers for', async () => {
    const { registration, asked, events } = kept(['ok', silence, silence]);
    await registration.start();
    await registration.deregister();
    expect(asked).toEqual(['put@0', 'remove@0', 'remove@0']);
    expect(events.at(-1)).toEqual({ type: 'abandoned', service: 'users', reason: 'nobody answers' });
  });

  it('counts as taken out what is gone already', async () => {
    const { registration, types } = kept(['ok', new NotRegistered('gone')]);
    await registration.start();
    await registration.deregister();
    expect(types()).toEqual(['registered', 'deregistered']);
  });
});
