import type { Gate, Outcome, Permit } from 'keelson/core';

/** Never refuses, whatever the chance: the greatest number below 1. */
export const lucky = () => 1 - 2 ** -53;
/** Refuses whenever there is any chance of it. */
export const unlucky = () => 0;

/** A permit, or a test that fails. */
export function acquire(gate: Gate, now: number): Permit {
  const permit = gate.tryAcquire(now);
  if (permit === null) throw new Error(`refused at ${now}`);
  return permit;
}

/** Calls that start and end at one moment. Refused ones are refused. @returns how many passed */
export function feed(gate: Gate, count: number, [outcome, now]: readonly [Outcome, number]): number {
  let passed = 0;
  for (let i = 0; i < count; i++) {
    const permit = gate.tryAcquire(now);
    if (permit === null) continue;
    passed++;
    permit.release(outcome, now);
  }
  return passed;
}
