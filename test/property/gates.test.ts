import fc from 'fast-check';
import { allOf, attempt, type Gate, keyed, type Outcome, type Permit } from 'keelson/core';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { gates } from './gates.js';

// What has to hold for every gate, whatever happens to it. The list of gates is in gates.ts.

const outcomes: readonly Outcome[] = ['success', 'failure', 'overload', 'ignored', 'unsent'];

/** One thing that happens. `at` picks one of the permits that were ever given. */
type Step =
  | { readonly do: 'acquire'; readonly later: number }
  | {
      readonly do: 'observe' | 'release';
      readonly at: number;
      readonly outcome: Outcome;
      readonly later: number;
    };

const later = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 30 }) },
  { weight: 2, arbitrary: fc.double({ min: 0, max: 5, noNaN: true }) },
  { weight: 1, arbitrary: fc.integer({ min: 100, max: 5000 }) },
  // Clocks step back.
  { weight: 1, arbitrary: fc.integer({ min: -2000, max: -1 }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('acquire' as const), later }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('observe' as const, 'release' as const),
      at: fc.nat(),
      outcome: fc.constantFrom(...outcomes),
      later,
    }),
  },
);
const steps = fc.array(step, { maxLength: 120 });
const seed = fc.integer({ min: 1, max: 1e6 });

describe.each(gates)('$name', ({ make }) => {
  const counts = make(1).snapshot(0).inflight !== undefined;

  it.runIf(counts)(
    'has in flight what was given and not released: never fewer than 0, and 0 at the end',
    () => {
      fc.assert(
        fc.property(seed, steps, (seedling, script) => {
          const { gate, snapshot } = make(seedling);
          const given: { permit: Permit; released: boolean }[] = [];
          let now = 1000;
          for (const one of script) {
            now += one.later;
            if (one.do === 'acquire') {
              const permit = gate.tryAcquire(now);
              if (permit !== null) given.push({ permit, released: false });
            } else if (given.length > 0) {
              const target = given[one.at % given.length] as (typeof given)[number];
              target.permit[one.do](one.outcome, now);
              if (one.do === 'release') target.released = true;
            }
            expect(snapshot(now).inflight).toBe(given.filter(({ released }) => !released).length);
          }
          for (const { permit } of given) permit.release('ignored', now);
          expect(snapshot(now).inflight).toBe(0);
        }),
      );
    },
  );

  it('hears a second release, and whatever comes after the first, not at all', () => {
    fc.assert(
      fc.property(seed, steps, fc.constantFrom(...outcomes), (seedling, script, again) => {
        const [once, twice] = [make(seedling), make(seedling)];
        const given: [Permit, Permit][] = [];
        let now = 1000;
        for (const one of script) {
          now += one.later;
          if (one.do === 'acquire') {
            const pair = [once.gate.tryAcquire(now), twice.gate.tryAcquire(now)] as const;
            expect(pair[0] === null).toBe(pair[1] === null);
            if (pair[0] !== null && pair[1] !== null) given.push([pair[0], pair[1]]);
          } else if (given.length > 0) {
            const at = one.at % given.length;
            const [a, b] = given[at] as [Permit, Permit];
            a[one.do](one.outcome, now);
            b[one.do](one.outcome, now);
            b[one.do](again, now);
            if (one.do === 'observe') continue;
            b.observe(again, now);
            b.release(one.outcome, now);
            given.splice(at, 1);
          }
          expect(twice.snapshot(now)).toEqual(once.snapshot(now));
        }
      }),
    );
  });

  it('keeps no trace of what was never sent', () => {
    fc.assert(
      fc.property(seed, steps, fc.integer({ min: 1, max: 5 }), (seedling, script, tries) => {
        const { gate, snapshot } = make(seedling);
        const given: Permit[] = [];
        let now = 1000;
        for (const one of script) {
          now += one.later;
          if (one.do === 'acquire') {
            const before = snapshot(now);
            const held: Permit[] = [];
            for (let i = 0; i < tries; i++) {
              const permit = gate.tryAcquire(now);
              if (permit === null) break;
              held.push(permit);
            }
            // A refusal is an event of its own, and may be remembered.
            const refused = held.length < tries;
            if (tries % 2 === 0) held.reverse();
            for (const permit of held) permit.release('unsent', now);
            if (!refused) expect(snapshot(now)).toEqual(before);
            const permit = gate.tryAcquire(now);
            if (permit !== null) given.push(permit);
          } else if (given.length > 0) {
            given[one.at % given.length]?.[one.do](one.outcome, now);
          }
        }
      }),
    );
  });

  it.runIf(counts)(
    'holds nothing after functions that answer, throw, reject, abort, or are judged by a judge that throws',
    async () => {
      const ending = fc.constantFrom('answer', 'throw', 'reject', 'abort', 'judge', 'wait');
      await fc.assert(
        fc.asyncProperty(
          seed,
          fc.array(fc.tuple(ending, fc.nat(40)), { maxLength: 60 }),
          async (seedling, calls) => {
            const { gate, snapshot } = make(seedling);
            const clock = manualClock(1000);
            const running: Promise<unknown>[] = [];
            for (const [how, ms] of calls) {
              const run = (): string | Promise<string> => {
                if (how === 'throw') throw new Error('thrown');
                if (how === 'reject') return Promise.reject(new Error('rejected'));
                if (how === 'abort') return Promise.reject(new DOMException('', 'AbortError'));
                if (how === 'wait') return new Promise((resolve) => clock.after(ms, () => resolve('late')));
                return 'answer';
              };
              const classify = (): Outcome => {
                throw new Error('judge');
              };
              running.push(
                attempt(gate, run, how === 'judge' ? { clock, classify } : { clock }).catch(() => undefined),
              );
              clock.advanceSync(ms);
            }
            await clock.advance(100);
            await Promise.all(running);
            expect(snapshot(clock.now()).inflight).toBe(0);
          },
        ),
        { numRuns: 30 },
      );
    },
  );

  it('holds nothing of what another gate refused, alone or behind keys', () => {
    const never: Gate = { code: 'OVERLOADED', tryAcquire: () => null };
    fc.assert(
      fc.property(seed, fc.array(fc.nat(50), { maxLength: 50 }), (seedling, pauses) => {
        const { gate, snapshot } = make(seedling);
        const joined = keyed(() => allOf([gate, never]));
        let now = 1000;
        for (const pause of pauses) {
          now += pause;
          const before = snapshot(now);
          expect(joined.tryAcquire(now, { operation: 'GET' })).toBeNull();
          expect(snapshot(now)).toEqual(before);
        }
      }),
    );
  });
});
