import fc from 'fast-check';
import { createCall, type Outcome, type Protocol } from 'keelson/core';
import { LatencySketch } from 'keelson/stats';
import { manualClock } from 'keelson/testing';
import { type Edge, topology } from 'keelson/topology';
import { describe, expect, it } from 'vitest';

const protocol: Protocol<string, Outcome> = { classify: (outcome) => outcome ?? 'failure' };

interface Step {
  readonly side: 'client' | 'server';
  readonly peer: string;
  readonly operation: string;
  readonly outcome: Outcome | 'throws';
  readonly ms: number;
  readonly waitMs: number;
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    side: fc.constantFrom('client', 'server'),
    peer: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
    operation: fc.constantFrom('GET', 'POST', 'GET /x/:id'),
    outcome: fc.constantFrom('success', 'failure', 'overload', 'ignored', 'throws'),
    ms: fc.integer({ min: 0, max: 500 }),
    waitMs: fc.oneof(fc.constant(0), fc.integer({ min: -30_000, max: 60_000 })),
  }) as fc.Arbitrary<Step>,
  { maxLength: 120 },
);

const sumOf = (edges: readonly Edge[], field: 'count' | 'errors' | 'tries') =>
  edges.reduce((sum, edge) => sum + edge[field], 0);

async function run(all: readonly Step[], maxEdges: number) {
  const clock = manualClock(1e6);
  const topo = topology({ service: 'orders', clock, maxEdges });
  for (const { side, peer, operation, outcome, ms, waitMs } of all) {
    clock.advanceSync(waitMs);
    const leaf = (): Promise<Outcome> => {
      clock.advanceSync(ms);
      return outcome === 'throws' ? Promise.reject(new Error('?')) : Promise.resolve(outcome);
    };
    const around =
      side === 'client'
        ? topo.client<string, Outcome>({ callee: peer, protocol })
        : topo.server<string, Outcome>({ protocol, callerOf: () => peer });
    const service = side === 'client' ? peer : 'orders';
    await around(leaf)('', createCall({ side, service, operation })).catch(() => 0);
    expect(topo.edges('current').length).toBeLessThanOrEqual(maxEdges + 2);
  }
  return topo;
}

describe('a topology', () => {
  it('loses no call, whatever the clock does and however little room there is', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 40 }), async (all, maxEdges) => {
        const topo = await run(all, maxEdges);
        const edges = topo.edges('total');
        expect(sumOf(edges, 'count')).toBe(all.length);
        expect(sumOf(edges, 'tries')).toBe(all.length);
        const failed = all.filter(({ outcome }) => ['failure', 'overload', 'throws'].includes(outcome));
        expect(sumOf(edges, 'errors')).toBe(failed.length);
        const ends = edges.flatMap((edge) => edge.ends);
        expect(ends.reduce((sum, { count }) => sum + count, 0)).toBe(all.length);
        expect(edges.length).toBeLessThanOrEqual(maxEdges + 2);
      }),
      { numRuns: 60 },
    );
  });

  it('with room knows each edge exactly', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const topo = await run(all, 100);
        const expected = new Map<string, number>();
        for (const { side, peer, operation } of all) {
          const key = side === 'client' ? `orders>${peer} ${operation}` : `${peer}>orders ${operation}`;
          expected.set(key, (expected.get(key) ?? 0) + 1);
        }
        const found = topo
          .edges('total')
          .map(
            ({ caller, callee, operation, count }) => [`${caller}>${callee} ${operation}`, count] as const,
          );
        expect(new Map(found)).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });
});

describe('a latency sketch', () => {
  const value = fc.double({ min: 2 ** -10, max: 2 ** 22, noNaN: true });

  it('is right to within 2 %', () => {
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (values, q) => {
          const sketch = new LatencySketch();
          for (const one of values) sketch.add(one);
          const sorted = [...values].sort((a, b) => a - b);
          const exact = sorted[Math.max(1, Math.ceil(q * values.length - 1e-9)) - 1] as number;
          expect(Math.abs(sketch.quantile(q) - exact)).toBeLessThanOrEqual(exact * 0.02);
        },
      ),
    );
  });

  it('does not care in which order it is added up', () => {
    const sketches = fc.array(fc.array(value, { maxLength: 20 }), { maxLength: 6 });
    fc.assert(
      fc.property(sketches, (parts) => {
        const sumOfParts = (order: readonly (readonly number[])[]) => {
          const sum = new LatencySketch();
          for (const part of order) {
            const sketch = new LatencySketch();
            for (const one of part) sketch.add(one);
            sum.merge(sketch);
          }
          return [0.1, 0.5, 0.99].map((q) => sum.quantile(q));
        };
        expect(sumOfParts(parts)).toEqual(sumOfParts([...parts].reverse()));
      }),
    );
  });
});
