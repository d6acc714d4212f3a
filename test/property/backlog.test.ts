import fc from 'fast-check';
import type { Outcome, Permit } from 'keelson/core';
import { backlogMeter } from 'keelson/limiter/load';
import { describe, expect, it } from 'vitest';

const outcome = fc.constantFrom<Outcome>('success', 'failure', 'overload', 'ignored', 'unsent');
const step = fc.oneof(
  fc.record({ kind: fc.constant('enter'), priority: fc.integer({ min: -2, max: 2 }) }),
  fc.record({ kind: fc.constant('release'), which: fc.nat(), outcome }),
  fc.record({ kind: fc.constant('refused'), priority: fc.integer({ min: -2, max: 2 }) }),
  // Clocks and counters that lie: back, nowhere, far ahead.
  fc.record({
    kind: fc.constant('time'),
    ms: fc.oneof(fc.double({ min: -100, max: 100 }), fc.constantFrom(Number.NaN, 1e15, -1e15)),
    slept: fc.double({ min: -100, max: 100 }),
  }),
  fc.record({ kind: fc.constant('turn'), events: fc.integer(), waiting: fc.integer() }),
  fc.record({ kind: fc.constant('restart') }),
);

type Step = {
  readonly kind: string;
  readonly priority?: number;
  readonly which?: number;
  readonly outcome?: Outcome;
  readonly ms?: number;
  readonly slept?: number;
  readonly events?: number;
  readonly waiting?: number;
};

describe('a backlog meter', () => {
  it('tells numbers in range whatever happens, and nothing in flight at the end', () => {
    fc.assert(
      fc.property(fc.array(step as fc.Arbitrary<Step>, { maxLength: 60 }), (steps) => {
        const thread = { at: 0, slept: 0, events: 0, eventsWaiting: 0 };
        const ends: (() => void)[] = [];
        const meter = backlogMeter({
          host: {
            now: () => thread.at,
            idleMs: () => thread.slept,
            events: () => ({ ...thread }),
            onTurnEnd: (run) => void ends.push(run),
          },
        });
        meter.start();
        const permits: Permit[] = [];
        const open = new Set<Permit>();
        const act: Record<string, (one: Step) => void> = {
          enter: ({ priority }) => {
            const permit = meter.gate.tryAcquire(thread.at, { priority }) as Permit;
            permits.push(permit);
            open.add(permit);
          },
          release: ({ which = 0, outcome: end = 'success' }) => {
            const permit = permits[which % permits.length];
            permit?.release(end, thread.at);
            if (permit !== undefined) open.delete(permit);
          },
          refused: ({ priority }) => meter.refused(thread.at, priority),
          time: ({ ms = 0, slept = 0 }) => {
            thread.at += ms;
            if (Number.isNaN(thread.at)) thread.at = ms > 0 ? 0 : Number.NaN;
            thread.slept += slept;
          },
          turn: ({ events = 0, waiting = 0 }) => {
            thread.events += events;
            thread.eventsWaiting += waiting;
            for (const run of ends.splice(0)) run();
            expect(ends.length).toBeLessThanOrEqual(2);
          },
          restart: () => {
            meter.stop();
            meter.start();
          },
        };
        for (const one of steps) {
          act[one.kind]?.(one);
          const {
            backlogMs,
            serviceMs = 0,
            inflight,
            perSecond,
            errorsPerSecond,
            admitRatio = 1,
          } = meter.snapshot(thread.at);
          expect(inflight).toBe(open.size);
          expect(backlogMs).toBeGreaterThanOrEqual(0);
          expect(backlogMs).toBeLessThanOrEqual(600_000);
          expect(serviceMs).toBeGreaterThanOrEqual(0);
          expect(perSecond).toBeGreaterThanOrEqual(errorsPerSecond);
          expect(errorsPerSecond).toBeGreaterThanOrEqual(0);
          expect(admitRatio).toBeGreaterThanOrEqual(0);
          expect(admitRatio).toBeLessThanOrEqual(1);
        }
        for (const permit of permits) permit.release('success', thread.at);
        expect(meter.inflight).toBe(0);
      }),
      { numRuns: 500 },
    );
  });
});
