import { attempt } from 'keelson/core';

/** @typedef {import('keelson/core').Gate} Gate */

/** One call under a gate that is told the time. @param {Gate} gate @returns {(time: { now: number }) => number} */
export function useAt(gate) {
  return ({ now }) => {
    const permit = gate.tryAcquire(now);
    if (permit === null) return 0;
    permit.release('success', now);
    return 1;
  };
}

/** The same, and whoever uses it reads the clock. @param {Gate} gate @returns {() => number} */
export function useAtClockTime(gate) {
  return () => {
    const permit = gate.tryAcquire(performance.now());
    if (permit === null) return 0;
    permit.release('success', performance.now());
    return 1;
  };
}

/** One awaited call under a gate. @param {Gate} gate @param {() => Promise<number>} run @returns {() => Promise<number>} */
export function useByAttempt(gate, run) {
  return () => attempt(gate, run);
}
