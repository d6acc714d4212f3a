import { evidence, sre, threshold } from 'keelson/breaker';
import { allOf, attempt, createCall, type Gate, guard, type Outcome, refusal } from 'keelson/core';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { acquire, feed, unlucky } from './feed.js';

// What other breakers for Node get wrong (opossum 9, moleculer 0.15), each as a test of ours.

/** Room for so many at a time, as any bulkhead. */
function bulkhead(places: number): Gate {
  let taken = 0;
  return {
    code: 'OVERLOADED',
    tryAcquire() {
      if (taken >= places) return null;
      taken++;
      let held = true;
      const release = () => {
        if (held) taken--;
        held = false;
      };
      return { observe: () => undefined, release };
    },
  };
}

const breakers = [
  { name: 'sre', make: () => sre({ random: unlucky }) },
  { name: 'threshold', make: () => threshold() },
  { name: 'evidence', make: () => evidence() },
];

describe.each(breakers)('$name', ({ make }) => {
  it('does not open on the very first failure', () => {
    const breaker = make();
    feed(breaker, 1, ['failure', 0]);
    expect(breaker.snapshot(0)).toMatchObject({ state: 'closed', refusalRatio: 0 });
  });

  it('opens when everything fails', () => {
    const breaker = make();
    feed(breaker, 50, ['failure', 0]);
    expect(breaker.snapshot(0).state).toBe('open');
  });

  it('does not count calls in flight', () => {
    const breaker = make();
    for (let i = 0; i < 100; i++) acquire(breaker, 0);
    expect(breaker.snapshot(0)).toMatchObject({ requests: 0, state: 'closed', inflight: 100 });
  });

  it('is not opened by the refusals of a limiter beside it', async () => {
    const breaker = make();
    const gate = allOf([breaker, bulkhead(1)]);
    const clock = manualClock();
    let finish = (_: string) => {};
    const running = attempt(gate, () => new Promise<string>((resolve) => (finish = resolve)), { clock });
    for (let i = 0; i < 100; i++)
      await expect(attempt(gate, () => 'never', { clock })).rejects.toMatchObject({ code: 'OVERLOADED' });
    expect(breaker.snapshot(0)).toMatchObject({ requests: 0, state: 'closed', inflight: 1 });
    finish('done');
    await expect(running).resolves.toBe('done');
    expect(breaker.snapshot(0)).toMatchObject({ requests: 1, successes: 1, inflight: 0 });
  });

  it('is not opened by the refusals of a limiter within it', async () => {
    const breaker = make();
    const clock = manualClock();
    for (let i = 0; i < 100; i++) {
      const inner = () => attempt(bulkhead(0), () => 'never', { clock });
      await expect(attempt(breaker, inner, { clock })).rejects.toMatchObject({ code: 'OVERLOADED' });
    }
    expect(breaker.snapshot(0)).toMatchObject({ requests: 0, state: 'closed', inflight: 0 });
  });

  it('takes an error that is judged to say nothing for nothing, not for a success', async () => {
    const breaker = make();
    const clock = manualClock();
    const classify = (): Outcome => 'ignored';
    const bad = () => Promise.reject(new Error('404'));
    await expect(attempt(breaker, bad, { clock, classify })).rejects.toThrow('404');
    expect(breaker.snapshot(0)).toMatchObject({ requests: 0, successes: 0 });
  });

  it('lets the abort of one call touch no other', async () => {
    const breaker = make();
    const clock = manualClock();
    const controller = new AbortController();
    const aborted = attempt(
      breaker,
      () =>
        new Promise((_, reject) => {
          controller.signal.addEventListener('abort', () => reject(controller.signal.reason));
        }),
      { clock },
    );
    let finish = (_: string) => {};
    const innocent = attempt(breaker, () => new Promise<string>((resolve) => (finish = resolve)), { clock });
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
    const after = attempt(breaker, () => 'next', { clock });
    finish('well');
    await expect(innocent).resolves.toBe('well');
    await expect(after).resolves.toBe('next');
    expect(breaker.snapshot(0)).toMatchObject({ requests: 2, successes: 2, inflight: 0 });
  });

  it.each([
    ['a timeout of the platform', () => new DOMException('too late', 'TimeoutError')],
    ['a deadline of ours', () => refusal('DEADLINE_EXCEEDED', 'too late', { side: 'client' })],
    ['a plain error', () => new Error('500')],
  ])('sees %s', async (_, error) => {
    const breaker = make();
    const clock = manualClock();
    for (let i = 0; i < 20; i++) {
      const run = () => Promise.reject(error());
      await expect(attempt(breaker, run, { clock })).rejects.toThrow();
    }
    expect(breaker.snapshot(0)).toMatchObject({ state: 'open', successes: 0 });
  });

  it('sees a deadline that runs out inside a guard, and not a caller who hangs up', async () => {
    const breaker = make();
    const call = createCall({ side: 'client', service: 'users', operation: 'GET' });
    const protocol = { classify: (): Outcome => 'success' };
    const errors = ['DEADLINE_EXCEEDED', 'CANCELLED'] as const;
    for (const code of errors) {
      const run = guard<void, void>([breaker], { protocol, clock: manualClock() })(() =>
        Promise.reject(refusal(code, 'ended', { side: 'client' })),
      );
      await expect(run(undefined, call)).rejects.toMatchObject({ code });
    }
    expect(breaker.snapshot(0)).toMatchObject({ requests: 1, successes: 0, inflight: 0 });
  });
});

describe('threshold', () => {
  it('opens at exactly its ratio, at 1 too', () => {
    const half = threshold();
    feed(half, 10, ['success', 0]);
    feed(half, 10, ['failure', 0]);
    expect(half.snapshot(0).state).toBe('open');
    const all = threshold({ failureRatio: 1 });
    feed(all, 20, ['failure', 0]);
    expect(all.snapshot(0).state).toBe('open');
  });

  it('has an empty window after it closed', () => {
    const breaker = threshold({ jitterRatio: 0 });
    feed(breaker, 20, ['failure', 0]);
    feed(breaker, 2, ['success', 5000]);
    expect(breaker.snapshot(5000)).toMatchObject({ state: 'closed', requests: 0 });
    expect(feed(breaker, 19, ['failure', 5001])).toBe(19);
    expect(breaker.snapshot(5001).state).toBe('closed');
  });

  it('is not half open for ever because a probe hangs', () => {
    const breaker = threshold({ jitterRatio: 0, probes: 1 });
    feed(breaker, 20, ['failure', 0]);
    acquire(breaker, 5000);
    expect(breaker.tryAcquire(10_000)).toBeNull();
    // Given up at 20 000, open for 10 s.
    expect(breaker.tryAcquire(29_999)).toBeNull();
    acquire(breaker, 30_000).release('success', 30_001);
    expect(breaker.snapshot(30_001).state).toBe('closed');
  });

  it('is not closed by the success of a call that began before it opened', () => {
    const breaker = threshold({ jitterRatio: 0, probes: 1 });
    const stale = acquire(breaker, 0);
    feed(breaker, 20, ['failure', 0]);
    expect(breaker.snapshot(5000).state).toBe('half-open');
    stale.release('success', 5001);
    expect(breaker.snapshot(5001).state).toBe('half-open');
  });
});
