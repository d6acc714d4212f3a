import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const median = (numbers: readonly number[]) =>
  numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] as number;

it('a meter in a real server sees how many requests wait in its sockets', async () => {
  const child = fork(fileURLToPath(new URL('fixtures/backlog.mjs', import.meta.url)), [], {
    stdio: 'inherit',
  });
  const { results } = await new Promise<{ results: Record<string, number[]> }>((resolve, reject) => {
    child.once('message', (message) => resolve(message as never));
    child.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
  });
  const [idle, some, much] = ['1', '5', '40'].map((size) => median(results[size] ?? [])) as [
    number,
    number,
    number,
  ];
  expect(idle).toBeLessThan(some);
  expect(some).toBeLessThan(much);
  // In calls, so a slow machine changes nothing. What waits is only seen as it is worked off. When the last of n answers,
  // n - 1 began before it in this turn, for which half as many are foreseen: (n - 1) / 2 at least. At most it is thought
  // that, of what the last turns worked off, as much again has come in meanwhile: n more, and as much for the turn before.
  // Twice that to each side for costs that are measured while others use the machine.
  for (const [seen, n] of [
    [some, 5],
    [much, 40],
  ] as const) {
    expect(seen).toBeGreaterThan((n - 1) / 4);
    expect(seen).toBeLessThan(2 * (2 * n + (n - 1) / 2));
  }
});
