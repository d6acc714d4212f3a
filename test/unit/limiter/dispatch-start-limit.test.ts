import { describe, expect, it } from 'vitest';
import { scene } from './dispatch-scene.js';

/** What calls wait for: so many at a time, in the order in which they came. */
class Callee {
  private readonly free: number[];
  constructor(slots: number) {
    this.free = Array(slots).fill(0);
  }
  /** @returns how long until the answer comes */
  ask(now: number, takesMs: number): number {
    const first = this.free.indexOf(Math.min(...this.free));
    const end = Math.max(now, this.free[first] as number) + takesMs;
    this.free[first] = end;
    return end - now;
  }
}

/** A call every 7 ms, that takes 20 ms somewhere else, after four seconds 200, and at the end 20 again. */
async function phases(slots: number, options: { startLimit?: boolean } = {}) {
  const all = scene(options);
  const { clock, queue, ask, turn } = all;
  const callee = new Callee(slots);
  const seen: { running: number; limit: number }[] = [];
  for (const [takesMs, calls] of [
    [20, 600],
    [200, 2400],
    [20, 600],
  ] as const) {
    for (let i = 0; i < calls; i++) {
      const end = () =>
        new Promise<void>((resolve) => void clock.after(callee.ask(clock.now(), takesMs), resolve));
      void ask({ name: 'a', ms: 0.2, end });
      await clock.advance(6.8);
      await turn();
    }
    const { running, runningLimit } = queue.snapshot(clock.now());
    seen.push({ running, limit: runningLimit });
  }
  return seen;
}

describe('calls that wait for somebody else', () => {
  it('are limited when he answers only so many at a time, until he is quick again', async () => {
    const [before, slow, after] = await phases(10);
    expect(before?.limit).toBe(Number.POSITIVE_INFINITY);
    // Ten are what he takes. The search goes up by 1.3 and down by 0.8 about that.
    expect(slow?.limit).toBeLessThan(30);
    expect(slow?.running).toBeLessThan(30);
    expect(after?.limit).toBe(Number.POSITIVE_INFINITY);
  });

  it('are not limited where he is slow and takes all', async () => {
    const seen = await phases(1000);
    expect(seen.map(({ limit }) => limit)).toEqual(Array(3).fill(Number.POSITIVE_INFINITY));
    // One every 7 ms, for 200.
    expect(seen[1]?.running).toBeGreaterThan(25);
  });

  it('are not limited where they are meant to wait for each other', async () => {
    const [, slow] = await phases(10, { startLimit: false });
    expect(slow?.limit).toBe(Number.POSITIVE_INFINITY);
    expect(slow?.running).toBeGreaterThan(1000);
  });
});
