import { type FallbackOptions, fallback, memory, type Resolution, type Resolver } from 'keelson/discovery';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { ScriptedRegistry, ScriptedResolver, someInstance } from '../../doubles/scripted-source.js';

function setUp(options: Partial<FallbackOptions> = {}, of = 2) {
  const clock = manualClock();
  const sources = Array.from({ length: of }, () => new ScriptedResolver());
  const [first, second] = sources as [ScriptedResolver, ScriptedResolver];
  const pushed: Resolution[] = [];
  const resolver = fallback(sources, { clock, waitMs: 1_000, holdMs: 30_000, ...options });
  const watch = resolver.watch('users', (resolution) => pushed.push(resolution));
  const last = () => pushed.at(-1);
  const now = () => [
    last()
      ?.instances.map(({ id }) => id)
      .join(),
    last()?.stale,
  ];
  return { clock, sources, first, second, pushed, resolver, watch, last, now };
}

describe('fallback', () => {
  it('believes the first that has instances, and does not mix', () => {
    const { first, second, now } = setUp();
    second.say('b');
    expect(now()).toEqual([undefined, undefined]);
    first.say('a');
    expect(now()).toEqual(['a', false]);
    second.say('b', 'c');
    expect(now()).toEqual(['a', false]);
  });

  it('waits for an earlier source at the start, but not for ever, and lets it have its place when it comes', async () => {
    const { clock, first, second, now } = setUp();
    second.say('b');
    await clock.advance(999);
    expect(now()).toEqual([undefined, undefined]);
    await clock.advance(1);
    expect(now()).toEqual(['b', false]);
    first.say('a');
    await clock.advance(29_999);
    expect(now()).toEqual(['b', false]);
    await clock.advance(1);
    expect(now()).toEqual(['a', false]);
  });

  it('goes on at once from a source that never had any', () => {
    const { first, second, now } = setUp();
    first.say();
    expect(now()).toEqual([undefined, undefined]);
    second.say('b');
    expect(now()).toEqual(['b', false]);
  });

  it('says that there is nobody when nobody knows any', () => {
    const { first, second, pushed } = setUp();
    first.say();
    second.say();
    expect(pushed).toEqual([{ instances: [], stale: false, reason: undefined }]);
  });

  it('keeps the list of a source that is away for a short time', async () => {
    const { clock, first, second, now, last } = setUp();
    first.say('a');
    second.say('b');
    first.lose('no answer');
    expect(now()).toEqual(['a', true]);
    expect(last()?.reason).toBe('source 1 of 2: no answer');
    await clock.advance(29_999);
    first.say('a');
    await clock.advance(100_000);
    expect(now()).toEqual(['a', false]);
  });

  it('changes to the next when the first is away for longer, and back when it has been well for as long', async () => {
    const { clock, first, second, pushed, now } = setUp();
    first.say('a');
    second.say('b');
    first.lose();
    await clock.advance(30_000);
    expect(now()).toEqual(['b', false]);
    first.say('a');
    await clock.advance(20_000);
    first.lose();
    await clock.advance(5_000);
    first.say('a');
    await clock.advance(29_999);
    expect(now()).toEqual(['b', false]);
    await clock.advance(1);
    expect(now()).toEqual(['a', false]);
    expect(pushed).toHaveLength(4);
    expect(clock.pending).toBe(0);
  });

  it('keeps the last list of a source that is empty, then changes', async () => {
    const { clock, first, second, now, last } = setUp();
    first.say('a');
    second.say('b');
    first.say();
    expect(now()).toEqual(['a', true]);
    expect(last()?.reason).toMatch(/source 1 of 2 has no instance/);
    await clock.advance(30_000);
    expect(now()).toEqual(['b', false]);
  });

  it('believes an empty list in the end when nobody else has any', async () => {
    const { clock, first, second, now } = setUp();
    first.say('a');
    second.say();
    first.say();
    await clock.advance(29_999);
    expect(now()).toEqual(['a', true]);
    await clock.advance(1);
    expect(now()).toEqual(['', false]);
    second.say('b');
    expect(now()).toEqual(['b', false]);
  });

  it('stays with an old list when all are away', async () => {
    const { clock, first, second, now } = setUp();
    first.say('a');
    second.say('b');
    first.lose();
    second.lose();
    await clock.advance(3_600_000);
    expect(now()).toEqual(['a', true]);
    second.say('b');
    expect(now()).toEqual(['b', false]);
  });

  it('takes an old list where there is no better one at the start', () => {
    const { first, second, now } = setUp();
    second.say('b');
    second.lose();
    first.say();
    expect(now()).toEqual(['b', true]);
  });

  it('takes the third when the second is no better', async () => {
    const { clock, sources, now } = setUp({}, 3);
    const [first, second, third] = sources;
    first?.say('a');
    second?.say();
    third?.say('c');
    first?.lose();
    await clock.advance(30_000);
    expect(now()).toEqual(['c', false]);
    second?.say('b');
    await clock.advance(30_000);
    expect(now()).toEqual(['b', false]);
  });

  it('is not held up by a clock that is set back', async () => {
    const { clock, first, second, now } = setUp();
    first.say('a');
    second.say('b');
    first.lose();
    await clock.advance(-3_600_000);
    second.say('b', 'c');
    await clock.advance(30_000);
    expect(now()).toEqual(['b,c', false]);
  });

  it('changes at once with a hold of 0', () => {
    const { first, second, now } = setUp({ holdMs: 0 });
    first.say('a');
    second.say('b');
    first.lose();
    expect(now()).toEqual(['b', false]);
    first.say('a');
    expect(now()).toEqual(['a', false]);
  });

  it('decides for each watch on its own, and lets go', async () => {
    const { clock, first, second, resolver, watch, pushed } = setUp();
    resolver.watch('bills', () => undefined).close();
    expect([first.size, second.size]).toEqual([1, 1]);
    watch.close();
    first.say('a');
    second.say('b');
    await clock.advance(100_000);
    expect([pushed.length, first.size, second.size, clock.pending]).toEqual([0, 0, 0, 0]);
  });

  it('registers in all of them', async () => {
    const first = new ScriptedRegistry();
    const second = new ScriptedRegistry();
    const registration = await fallback([first, second]).register(someInstance('me'));
    expect([first.held.size, second.held.size]).toEqual([1, 1]);
    await registration.deregister();
    expect([first.held.size, second.held.size]).toEqual([0, 0]);
  });

  it.each([
    [[], undefined, TypeError],
    [[memory()], { holdMs: -1 }, RangeError],
    [[memory()], { waitMs: Number.NaN }, RangeError],
    [[memory()], { prefer: 'all' }, TypeError],
  ])('refuses %j with %j', (sources, options, error) => {
    expect(() => fallback(sources as Resolver[], options as FallbackOptions)).toThrow(error);
  });
});
