import fc from 'fast-check';
import { fallback, merge, type Resolution, type Resolver, type ServiceInstance } from 'keelson/discovery';
import { type ManualClock, manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { ScriptedResolver, someInstance } from '../doubles/scripted-source.js';

const count = 3;
const address = fc.constantFrom('http://h:1', 'http://h:2', 'grpc://h:3', 'http://h:4', 'grpc://h:5');
/** As registries have them: an id once, an address of one instance only. */
const list = fc.uniqueArray(address, { maxLength: 5 }).chain((addresses) =>
  fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 5, maxLength: 5 }).map((ids) => {
    const found = new Map<string, ServiceInstance>();
    for (const [at, one] of addresses.entries()) {
      const id = ids[at] as string;
      found.set(id, someInstance(id, { addresses: [...(found.get(id)?.addresses ?? []), one] }));
    }
    return [...found.values()];
  }),
);
const step = fc.oneof(
  fc.record({ source: fc.nat(count - 1), says: list }),
  fc.record({ source: fc.nat(count - 1), says: fc.constant('away' as const) }),
  fc.record({ passMs: fc.nat(40_000) }),
);
type Step = { source: number; says: readonly ServiceInstance[] | 'away' } | { passMs: number };

function setUp(
  join: (sources: readonly ScriptedResolver[], options: { readonly clock: ManualClock }) => Resolver,
) {
  const clock = manualClock();
  const sources = Array.from({ length: count }, () => new ScriptedResolver());
  const pushed: Resolution[] = [];
  const watch = join(sources, { clock }).watch('users', (resolution) => pushed.push(resolution));
  const heard: ({ instances: readonly ServiceInstance[]; away: boolean } | undefined)[] = sources.map(
    () => undefined,
  );
  const run = async (one: Step): Promise<void> => {
    if ('passMs' in one) return clock.advance(one.passMs);
    const { source, says } = one;
    const before = heard[source]?.instances ?? [];
    heard[source] = says === 'away' ? { instances: before, away: true } : { instances: says, away: false };
    if (says === 'away') sources[source]?.lose();
    else sources[source]?.say(...says);
  };
  return { clock, pushed, heard, run, watch };
}

const addressesOf = (instances: readonly ServiceInstance[] = []) =>
  instances.flatMap(({ addresses }) => addresses).sort();

describe('merge', () => {
  it('has every address that any source has, once, and every id once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        const { clock, pushed, heard, run, watch } = setUp(merge);
        for (const one of steps) await run(one);
        await clock.advance(1_000);
        const known = heard.filter((resolution) => resolution !== undefined);
        const all = new Set(known.flatMap(({ instances }) => addressesOf(instances)));
        const shown = pushed.at(-1)?.instances;
        expect(addressesOf(shown)).toEqual([...all].sort());
        const ids = shown?.map(({ id }) => id) ?? [];
        expect(new Set(ids).size).toBe(ids.length);
        if (known.length > 0)
          expect(pushed.at(-1)?.stale).toBe(known.length < count || known.some(({ away }) => away));
        watch.close();
        expect(clock.pending).toBe(0);
      }),
    );
  });
});

describe('fallback', () => {
  it('shows what one source said, and in the end the first that is well', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        const { clock, pushed, heard, run, watch } = setUp(fallback);
        const said = new Set(['']);
        for (const one of steps) {
          await run(one);
          for (const resolution of heard) said.add(addressesOf(resolution?.instances).join());
        }
        // Twice the hold: to leave one that is away, and to go back to one that is well.
        await clock.advance(60_001);
        for (const { instances } of pushed) expect(said).toContain(addressesOf(instances).join());
        const well = heard.find(
          (resolution) => resolution && !resolution.away && resolution.instances.length > 0,
        );
        if (well) {
          expect(addressesOf(pushed.at(-1)?.instances)).toEqual(addressesOf(well.instances));
          expect(pushed.at(-1)?.stale).toBe(false);
        } else if (heard.some((resolution) => resolution && resolution.instances.length > 0)) {
          // An old list is better than none.
          expect(pushed.at(-1)?.instances.length).toBeGreaterThan(0);
        }
        watch.close();
        expect(clock.pending).toBe(0);
      }),
    );
  });
});
