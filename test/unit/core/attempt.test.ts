import { attempt, type Outcome, refusal } from 'keelson/core';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { recorder } from './recorder.js';

function setUp() {
  const gate = recorder('gate', 'RATE_LIMITED', 70);
  const clock = manualClock(10);
  return { gate, clock };
}

describe('attempt', () => {
  it.each([
    ['a value', () => 1],
    ['a promise', () => Promise.resolve(1)],
    [
      'something like a promise',
      // biome-ignore lint/suspicious/noThenProperty: it is what is tried
      () => ({ then: (ok: (value: number) => void) => ok(1) }) as PromiseLike<number>,
    ],
  ])('gives back %s', async (_, run) => {
    const { gate, clock } = setUp();
    await expect(attempt(gate, run, { clock })).resolves.toBe(1);
    expect(gate.log).toEqual(['acquire@10', 'release success@10']);
  });

  it.each([
    ['throw', 'failure', new Error('x')],
    ['throw', 'failure', undefined],
    ['throw', 'failure', 'a word'],
    ['reject', 'failure', new Error('x')],
    ['reject', 'failure', new DOMException('', 'TimeoutError')],
    ['reject', 'ignored', new DOMException('', 'AbortError')],
    ['reject', 'failure', refusal('DEADLINE_EXCEEDED', 'late')],
    ['reject', 'unsent', refusal('DEADLINE_EXCEEDED', 'late', { side: 'client', unsent: true })],
    ['reject', 'unsent', refusal('OVERLOADED', 'refused further in', { side: 'client' })],
    ['reject', 'failure', refusal('OVERLOADED', 'refused over there', { side: 'server' })],
    ['reject', 'ignored', refusal('CANCELLED', 'gone', { side: 'client' })],
  ])('%s: counts as %s (%#), and the error is unchanged', async (how, outcome, error) => {
    const { gate, clock } = setUp();
    const run = () => {
      if (how === 'throw') throw error;
      return Promise.reject(error);
    };
    const thrown = await attempt(gate, run, { clock }).then(
      () => 'resolved',
      (reason: unknown) => ({ reason }),
    );
    expect(thrown).toEqual({ reason: error });
    expect(gate.log).toEqual(['acquire@10', `release ${outcome}@10`]);
  });

  it('tells the times of start and end', async () => {
    const { gate, clock } = setUp();
    const running = attempt(gate, () => new Promise((resolve) => clock.after(25, () => resolve(1))), {
      clock,
    });
    await clock.advance(25);
    await running;
    expect(gate.log).toEqual(['acquire@10', 'release success@35']);
  });

  it('asks the caller how it ended', async () => {
    const { gate, clock } = setUp();
    const seen: unknown[] = [];
    const classify = (value: number | undefined, error: unknown): Outcome => {
      seen.push([value, error]);
      return 'overload';
    };
    const error = new Error('x');
    await attempt(gate, () => 7, { clock, classify });
    await expect(attempt(gate, () => Promise.reject(error), { clock, classify })).rejects.toBe(error);
    expect(seen).toEqual([
      [7, undefined],
      [undefined, error],
    ]);
    expect(gate.log.filter((line) => line.startsWith('release'))).toEqual([
      'release overload@10',
      'release overload@10',
    ]);
  });

  it.each([
    ['a value', () => 1],
    ['an error', () => Promise.reject(new Error('x'))],
  ])('holds nothing when the judge throws over %s', async (_, run) => {
    const { gate, clock } = setUp();
    const classify = (): Outcome => {
      throw new Error('judge');
    };
    await expect(attempt<number>(gate, run, { clock, classify })).rejects.toThrow('judge');
    expect(gate.log.at(-1)).toBe('release ignored@10');
  });

  it('refuses without running', async () => {
    const { gate, clock } = setUp();
    gate.refuse = true;
    let ran = false;
    const run = () => {
      ran = true;
    };
    await expect(attempt(gate, run, { clock })).rejects.toMatchObject({
      code: 'RATE_LIMITED',
      retryAfterMs: 70,
      side: 'client',
      retryable: true,
    });
    expect(ran).toBe(false);
  });

  it('rejects, and does not throw, when the gate throws', async () => {
    const { gate, clock } = setUp();
    gate.fault = 'tryAcquire';
    await expect(attempt(gate, () => 1, { clock })).rejects.toThrow('gate tryAcquire');
  });

  it('tells the gate what it was told of the call', async () => {
    const asks: unknown[] = [];
    const tryAcquire = (_: number, ask: unknown) => {
      asks.push(ask);
      return null;
    };
    const gate = { ...recorder('gate'), tryAcquire };
    const options = { operation: 'GET', key: 'acme', cost: 3, priority: 1 };
    await expect(attempt(gate, () => 1, options)).rejects.toThrow();
    expect(asks).toEqual([options]);
  });

  it('works by the clock of the platform', async () => {
    const gate = recorder('gate');
    await attempt(gate, () => 1, { clock: undefined, classify: undefined });
    expect(gate.log.map((line) => line.split('@')[0])).toEqual(['acquire', 'release success']);
  });
});
