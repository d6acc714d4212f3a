import {
  type DiscoveryEvent,
  type MergeOptions,
  memory,
  merge,
  type Registry,
  type Resolution,
  type Resolver,
  staticEndpoints,
} from 'keelson/discovery';
import { manualClock } from 'keelson/testing';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { ScriptedRegistry, ScriptedResolver, someInstance } from '../../doubles/scripted-source.js';

function two(options: Partial<MergeOptions> = {}) {
  const clock = manualClock();
  const first = new ScriptedResolver();
  const second = new ScriptedResolver();
  const pushed: Resolution[] = [];
  const resolver = merge([first, second], { clock, ...options });
  const watch = resolver.watch('users', (resolution) => pushed.push(resolution));
  const ids = () => pushed.at(-1)?.instances.map(({ id }) => id);
  const addresses = () => pushed.at(-1)?.instances.flatMap((instance) => instance.addresses);
  return { clock, first, second, pushed, resolver, watch, ids, addresses };
}

describe('the list of merge', () => {
  it('has what either source knows', () => {
    const { first, second, pushed, ids } = two();
    first.say('a');
    expect(pushed).toEqual([]);
    second.say('b');
    expect(pushed).toEqual([
      { instances: [someInstance('a'), someInstance('b')], stale: false, reason: undefined },
    ]);
    first.say('a', 'c');
    expect(ids()).toEqual(['a', 'b', 'c']);
  });

  it('has an address once, with what the earlier source says of it', () => {
    const { first, second, pushed } = two();
    first.say(someInstance('a', { addresses: ['http://10.0.0.1:80'], weight: 7 }));
    second.say(
      someInstance('x', { addresses: ['HTTP://10.0.0.1'], weight: 100 }),
      someInstance('y', { addresses: ['http://10.0.0.1', 'grpc://10.0.0.1:9000'] }),
    );
    expect(pushed.at(-1)?.instances.map(({ id, addresses, weight }) => [id, ...addresses, weight])).toEqual([
      ['a', 'http://10.0.0.1:80', 7],
      ['y', 'grpc://10.0.0.1:9000', 100],
    ]);
  });

  it('has an instance that both know by one id once, with the addresses of both', () => {
    const { first, second, pushed } = two();
    first.say(someInstance('a', { addresses: ['http://h:1'], zone: 'z1' }));
    second.say(someInstance('a', { addresses: ['http://h:1', 'grpc://h:2'], zone: 'z2' }));
    expect(pushed.at(-1)?.instances).toEqual([
      someInstance('a', { addresses: ['http://h:1', 'grpc://h:2'], zone: 'z1' }),
    ]);
  });

  it('leaves alone what one source lists twice', () => {
    const { first, second, ids } = two();
    first.say(
      someInstance('a', { addresses: ['http://h:1'] }),
      someInstance('b', { addresses: ['http://h:1'] }),
    );
    second.say();
    expect(ids()).toEqual(['a', 'b']);
  });

  it('takes an address back from the later source when the earlier one lets it go', () => {
    const { first, second, ids } = two();
    first.say(someInstance('a', { addresses: ['http://h:1'] }));
    second.say(someInstance('x', { addresses: ['http://h:1'] }));
    expect(ids()).toEqual(['a']);
    first.say();
    expect(ids()).toEqual(['x']);
  });

  it('is stale as long as one source is, and keeps its last good part', () => {
    const { first, second, pushed, ids } = two();
    first.say('a');
    second.say('b');
    second.lose('no answer');
    expect(ids()).toEqual(['a', 'b']);
    expect(pushed.at(-1)).toMatchObject({ stale: true, reason: 'source 2 of 2: no answer' });
    second.say('b', 'c');
    expect(pushed.at(-1)).toMatchObject({ stale: false, reason: undefined });
  });

  it('does not wait for a source that never answers longer than it was told to', async () => {
    const { clock, first, pushed } = two({ waitMs: 500 });
    first.say('a');
    await clock.advance(499);
    expect(pushed).toEqual([]);
    await clock.advance(1);
    expect(pushed).toEqual([
      { instances: [someInstance('a')], stale: true, reason: 'source 2 of 2 has not answered yet' },
    ]);
  });

  it('says nothing while nobody has, and something as soon as anybody has after that', async () => {
    const { clock, second, pushed, ids } = two({ waitMs: 500 });
    await clock.advance(10_000);
    expect(pushed).toEqual([]);
    second.say('b');
    expect(ids()).toEqual(['b']);
    expect(clock.pending).toBe(0);
  });

  it('pushes only changes', () => {
    const { first, second, pushed } = two();
    first.say('a');
    second.say('b');
    first.say('a');
    second.say('b', 'a');
    expect(pushed).toHaveLength(1);
  });

  it('is told at once what is known at once, and whole', () => {
    const known = merge([
      staticEndpoints({ users: ['http://a:1'] }),
      staticEndpoints({ users: ['http://b:1'] }),
    ]);
    const pushed: Resolution[] = [];
    known.watch('users', (resolution) => pushed.push(resolution));
    expect(pushed.map(({ instances }) => instances.length)).toEqual([2]);
  });

  it('tells nothing more after its end, and lets the sources go', () => {
    const { clock, first, second, pushed, watch } = two();
    watch.close();
    watch.close();
    first.say('a');
    second.say('b');
    expect([pushed.length, first.size, second.size, clock.pending]).toEqual([0, 0, 0, 0]);
  });

  it('survives a listener that throws, and tells of it', () => {
    const events: DiscoveryEvent[] = [];
    const source = new ScriptedResolver();
    const resolver = merge([source], { onEvent: (event) => events.push(event) });
    resolver.watch('users', () => {
      throw new Error('oops');
    });
    source.say('a');
    expect(events).toEqual([{ type: 'fault', service: 'users', reason: 'oops' }]);
  });

  it('lets go of the first source when the second cannot be watched', () => {
    const first = new ScriptedResolver();
    const second: Resolver = {
      watch: () => {
        throw new TypeError('no such name');
      },
    };
    expect(() => merge([first, second]).watch('users', () => undefined)).toThrow('no such name');
    expect(first.size).toBe(0);
  });

  it('closes its sources once, whatever they throw', async () => {
    const first = new ScriptedResolver();
    const broken = new ScriptedResolver();
    broken.close = () => {
      throw new Error('oops');
    };
    const last = new ScriptedResolver();
    const resolver = merge([first, broken, last, first]);
    await resolver.close?.();
    await resolver.close?.();
    expect([first.closed, last.closed]).toEqual([1, 1]);
    expect(resolver.watch('users', () => undefined).close()).toBe(undefined);
  });
});

function registries(options: Partial<MergeOptions> = {}) {
  const clock = manualClock();
  const first = new ScriptedRegistry();
  const second = new ScriptedRegistry();
  const events: DiscoveryEvent[] = [];
  const onEvent = (event: DiscoveryEvent) => events.push(event);
  const registry = merge([first, second], { clock, random: () => 0.5, onEvent, ...options });
  return { clock, first, second, events, registry };
}

describe('registering by merge', () => {
  it('registers in both, and takes out of both', async () => {
    const { first, second, registry } = registries();
    const registration = await registry.register(someInstance('me'));
    expect([...first.held, ...second.held, registration.registered]).toEqual(['me', 'me', true]);
    await registration.deregister();
    await registration.deregister();
    expect([first.held.size, second.held.size, registration.registered]).toEqual([0, 0, false]);
  });

  it('is not stopped by one that refuses, tells it, and tries it again', async () => {
    const { clock, first, second, events, registry } = registries();
    second.mood = 'refuses';
    const registration = await registry.register(someInstance('me'));
    expect([first.held.size, registration.registered]).toEqual([1, true]);
    await clock.advance(0);
    expect(events).toEqual([{ type: 'refused', service: 'users', reason: 'no rights' }]);
    second.mood = 'takes';
    await clock.advance(3_000);
    expect(second.held.size).toBe(1);
    expect(events.map(({ type }) => type)).toEqual(['refused', 'registered']);
    await clock.advance(3_600_000);
    expect(second.tries).toBe(2);
  });

  it('tries one that goes on refusing ever more rarely, and no more after the end', async () => {
    const { clock, second, events, registry } = registries();
    second.mood = 'refuses';
    const registration = await registry.register(someInstance('me'));
    await clock.advance(3_600_000);
    // Half of 5, 10, … 300 s, and 300 s for ever after.
    expect(second.tries).toBeGreaterThan(20);
    expect(second.tries).toBeLessThan(35);
    expect(events).toHaveLength(1);
    await registration.deregister();
    expect(clock.pending).toBe(0);
    const { tries } = second;
    await clock.advance(3_600_000);
    expect(second.tries).toBe(tries);
  });

  it('refuses when all do', async () => {
    const { clock, first, second, registry } = registries();
    first.mood = 'refuses';
    second.mood = 'refuses';
    await expect(registry.register(someInstance('me'))).rejects.toThrow(
      'every registry refused users: no rights; no rights',
    );
    await clock.advance(3_600_000);
    expect([first.tries, second.tries]).toEqual([1, 1]);
  });

  it('passes on the error of the only one', async () => {
    const only = new ScriptedRegistry();
    only.mood = 'refuses';
    await expect(merge([only]).register(someInstance('me'))).rejects.toThrow(/^no rights$/);
  });

  it('does not wait for one that hangs, once another has taken it; and takes it out when it comes at last', async () => {
    const { clock, first, second, registry } = registries({ waitMs: 300 });
    second.mood = 'hangs';
    let registered = false;
    const begun = registry.register(someInstance('me')).then((registration) => {
      registered = true;
      return registration;
    });
    await clock.advance(299);
    expect(registered).toBe(false);
    await clock.advance(1);
    expect(registered).toBe(true);
    const left = (await begun).deregister();
    await clock.advance(300);
    await left;
    expect([first.held.size, second.held.size]).toEqual([0, 0]);
    second.release();
    await clock.advance(0);
    expect(second.held.size).toBe(0);
  });

  it('says nothing more of one that refuses after the end', async () => {
    const { clock, second, events, registry } = registries({ waitMs: 300 });
    second.mood = 'hangs';
    const begun = registry.register(someInstance('me'));
    await clock.advance(300);
    const left = (await begun).deregister();
    await clock.advance(300);
    await left;
    second.mood = 'refuses';
    second.release();
    await clock.advance(3_600_000);
    expect([events, second.tries, second.held.size]).toEqual([[], 1, 0]);
  });

  it('waits for one that is slow as long as nobody else has taken it', async () => {
    const { clock, first, second, registry } = registries({ waitMs: 300 });
    first.mood = 'refuses';
    second.mood = 'hangs';
    const begun = registry.register(someInstance('me'));
    await clock.advance(10_000);
    second.release();
    expect((await begun).registered).toBe(true);
  });

  it('is registered as long as one has it', async () => {
    const { first, second, registry } = registries();
    const registration = await registry.register(someInstance('me'));
    first.held.clear();
    expect(registration.registered).toBe(true);
    second.held.clear();
    expect(registration.registered).toBe(false);
  });

  it('takes out what is registered when it is closed, and refuses more', async () => {
    const { first, second, registry } = registries();
    await registry.register(someInstance('me'));
    await registry.close();
    expect([first.held.size, second.held.size, first.closed, second.closed]).toEqual([0, 0, 1, 1]);
    await expect(registry.register(someInstance('me'))).rejects.toThrow('merge is closed');
  });

  it('registers where it is told to, also where it does not look', async () => {
    const old = new ScriptedRegistry();
    const next = new ScriptedRegistry();
    const registry = merge([old], { registerIn: [old, next] });
    registry.watch('users', () => undefined);
    await registry.register(someInstance('me'));
    expect([old.size, next.size, old.held.size, next.held.size]).toEqual([1, 0, 1, 1]);
    await registry.close();
    expect([old.closed, next.closed]).toEqual([1, 1]);
  });

  it('knows the local address by the first that does', async () => {
    const { second, registry } = registries();
    expect(await registry.localAddress?.()).toBe(undefined);
    second.address = '10.0.0.7';
    expect(await registry.localAddress?.()).toBe('10.0.0.7');
  });
});

describe('merge', () => {
  it('is a registry if one of its sources is, else a resolver', () => {
    const fixed = staticEndpoints({});
    expect('register' in merge([fixed])).toBe(false);
    expect('register' in merge([fixed, memory()])).toBe(true);
    expect('register' in merge([fixed], { registerIn: [memory()] })).toBe(true);
    expectTypeOf(merge([fixed])).toEqualTypeOf<Resolver>();
    expectTypeOf(merge([memory(), fixed])).toEqualTypeOf<Registry>();
    expectTypeOf(merge([fixed], { registerIn: [memory()] })).toEqualTypeOf<Registry>();
  });

  it.each([
    [[], undefined, TypeError],
    ['http://h', undefined, TypeError],
    [[{}], undefined, TypeError],
    [[memory()], { registerIn: [] }, TypeError],
    [[memory()], { registerIn: [staticEndpoints({})] }, TypeError],
    [[memory()], { waitMs: -1 }, RangeError],
    [[memory()], { holdMs: 1 }, TypeError],
  ])('refuses %j with %j', (sources, options, error) => {
    expect(() => merge(sources as Resolver[], options as MergeOptions)).toThrow(error);
  });
});
