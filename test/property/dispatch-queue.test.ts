import fc from 'fast-check';
import { cancelSource, createCall, startNotice } from 'keelson/core';
import { type DispatchQueueOptions, dispatchQueue } from 'keelson/limiter';
import { manualClock } from 'keelson/testing';
import { expect, it } from 'vitest';

interface Step {
  readonly action: 'ask' | 'ask' | 'turn' | 'end' | 'abort' | 'wait';
  /** How long the thread works, or how far the clock goes; may be back. */
  readonly ms: number;
  /** Which of the calls. */
  readonly pick: number;
  readonly operation: string;
  readonly key: string | undefined;
  readonly priority: number;
  readonly deadline: number;
  readonly fails: boolean;
  readonly later: boolean;
}

const steps = fc.array(
  fc.record<Step>({
    action: fc.constantFrom('ask', 'ask', 'ask', 'ask', 'turn', 'turn', 'end', 'abort', 'wait'),
    ms: fc.oneof(
      { weight: 8, arbitrary: fc.double({ min: 0, max: 15, noNaN: true }) },
      { weight: 1, arbitrary: fc.constantFrom(-5000, -1, 3000) },
    ),
    pick: fc.nat(),
    operation: fc.constantFrom('a', 'a', 'b', 'toString', ''),
    key: fc.constantFrom(undefined, undefined, 'x', 'y'),
    priority: fc.constantFrom(0, 0, 1, -1, 1e9, Number.NaN),
    deadline: fc.constantFrom(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 5, 50, -1, Number.NaN),
    fails: fc.boolean(),
    later: fc.boolean(),
  }),
  { maxLength: 150 },
);

const options = fc.record<DispatchQueueOptions>({
  budgetMs: fc.constantFrom(0.001, 5, 40, 1000),
  burstRatio: fc.constantFrom(1, 3),
  minShareRatio: fc.constantFrom(0, 0.02, 0.5),
  maxQueued: fc.constantFrom(1, 5, 4096),
  sliceMs: fc.constantFrom(0, 1, 10),
  partitions: fc.constantFrom({}, { a: 0.2 }),
  startLimit: fc.boolean(),
  busyMs: fc.constantFrom(
    undefined,
    () => Number.NaN,
    () => -1e9,
    () => 1e9,
  ),
});

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('every call starts at most once and ends exactly once; nothing is left, and no number is below zero', async () => {
  await fc.assert(
    fc.asyncProperty(steps, options, async (script, given) => {
      const clock = manualClock(1000);
      const turns: (() => void)[] = [];
      const queue = dispatchQueue({
        ...given,
        clock,
        turn: (run) => void turns.push(run),
        events: () => Number.NaN,
      });
      const starts = new Map<number, number>();
      const notices = new Map<number, number>();
      const ends = new Map<number, number>();
      const running: (() => void)[] = [];
      const aborts: ((reason: unknown) => void)[] = [];
      const count = (map: Map<number, number>, id: number) => void map.set(id, (map.get(id) ?? 0) + 1);
      const handler = queue.middleware<{ id: number; step: Step }, number>()(({ id, step }) => {
        count(starts, id);
        clock.advanceSync(step.ms);
        if (!step.later) return step.fails ? Promise.reject(new Error('mine')) : Promise.resolve(id);
        return new Promise((resolve, reject) =>
          running.push(() => (step.fails ? reject(new Error('mine')) : resolve(id))),
        );
      });
      let asked = 0;
      const check = (): void => {
        const {
          queued,
          running: open,
          backlogMs,
          budgetMs,
          serviceMs,
          admitRatio = 1,
        } = queue.snapshot(clock.now());
        for (const value of [queued, open, backlogMs, budgetMs, serviceMs, admitRatio])
          expect(value).toBeGreaterThanOrEqual(0);
        expect(queued).toBeLessThanOrEqual(given.maxQueued as number);
        expect(queued + open).toBeLessThanOrEqual(asked - ends.size);
      };
      for (const step of script) {
        switch (step.action) {
          case 'ask': {
            const id = asked++;
            const cancel = cancelSource();
            aborts[id] = (reason) => cancel.abort(reason);
            const { operation, key, priority } = step;
            const deadline = clock.now() + step.deadline;
            const call = createCall({
              side: 'server',
              service: 's',
              operation,
              key,
              priority,
              cancel,
              deadline,
            });
            call.values.set(startNotice, () => count(notices, id));
            const end = () => count(ends, id);
            handler({ id, step }, call).then(end, end);
            break;
          }
          case 'turn':
            for (const run of turns.splice(0)) run();
            break;
          case 'end':
            running.splice(step.pick % (running.length + 1), 1)[0]?.();
            break;
          case 'abort':
            aborts[step.pick % (aborts.length + 1)]?.(new Error('gone'));
            break;
          default:
            await clock.advance(step.ms);
        }
        await settle();
        check();
      }
      for (let left = 2000; left > 0 && ends.size < asked; left--) {
        for (const run of turns.splice(0)) run();
        for (const end of running.splice(0)) end();
        await clock.advance(1);
      }
      expect(ends.size).toBe(asked);
      expect(queue.snapshot(clock.now())).toMatchObject({ queued: 0, running: 0, backlogMs: 0 });
      for (const times of [...starts.values(), ...ends.values()]) expect(times).toBe(1);
      expect([...notices].toSorted()).toEqual([...starts].toSorted());
    }),
    { numRuns: 150 },
  );
});
