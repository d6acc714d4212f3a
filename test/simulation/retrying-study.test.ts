import { describe, expect, it } from 'vitest';
import { chosenOn } from '../../bench/sim/retrying/faults.mjs';
import { finagle } from '../../bench/sim/retrying/peers/finagle.mjs';
import { grpcThrottling } from '../../bench/sim/retrying/peers/grpc-throttling.mjs';
import { rules } from '../../bench/sim/retrying/rules.mjs';
import { retrying } from '../../bench/sim/retrying/study.mjs';
import { play } from '../../bench/sim/retrying/tiers.mjs';

const down = {
  perSecond: 30,
  seconds: 10,
  seed: 2,
  fromMs: 0,
  fault: ({ tier }: { tier: number }) => tier === 2,
};

const run = (name: string, how = down) => {
  const rule = rules[name];
  if (rule === undefined) throw new Error(`no rule ${name}`);
  return play(rule, how);
};

describe('three tiers whose bottom is down', () => {
  it.each([
    ['no retries', 1],
    ['naive, 2 tries', 8],
    ['naive, 3 tries', 27],
    // The tier next to the bottom tries twice, and no other.
    ['keelson signal, no budget', 2],
  ])('multiply, by %s, to %d', async (name, times) => {
    const { amplified, arrived, asked } = await run(name);
    expect(amplified).toBe(times);
    if (name.includes('signal')) expect(arrived).toEqual([asked, asked, 2 * asked]);
  });

  it('add little, by budgets', async () => {
    // Each of 3 services in the middle calls 3 at the bottom: 9 clients of 3 tries to begin with and 0.3 per second.
    const calls = { ...down, perSecond: 300 };
    const { amplified, asked } = await run('keelson budget and signal', calls);
    expect(amplified).toBeGreaterThan(1.005);
    expect(amplified).toBeLessThanOrEqual(1 + (9 * (3 + 0.3 * 10)) / asked);
    expect((await run('keelson as it comes', calls)).amplified).toBeLessThan(0.5);
  });
});

it('the peers allow what their sources say', () => {
  const grpc = grpcThrottling();
  const allowed = (budget: ReturnType<typeof finagle>, times: number, now = 0) =>
    Array.from({ length: times }, () => budget.withdraw(now)).filter(Boolean).length;
  // Of ten tokens those above five.
  expect(allowed(grpc, 20)).toBe(4);
  const { withdraw, deposit } = finagle();
  const budget = { withdraw, deposit, snapshot: () => ({ available: 0, withdrawn: 0, refused: 0 }) };
  // A hundred in reserve, and a fifth of those who ask.
  expect(allowed(budget, 1000)).toBe(100 + 200);
  expect(allowed(budget, 1, 20_000)).toBe(1);
});

it('the study meets its goals', async () => {
  const { json, text } = await retrying({ quick: true, seed: 1, tell: () => undefined });
  const { goals } = json as { goals: { met: boolean }[] };
  expect(goals.map(({ met }) => met)).toEqual([true, true]);
  expect(text).toContain('Kept back');
  expect(chosenOn.length).toBe(3);
});
