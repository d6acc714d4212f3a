const ratio = 0.2;
const minPerSecond = 10;
const ttlMs = 10_000;

/**
 * Source: twitter/finagle, `RetryBudget.scala`, with its defaults, which linkerd2-proxy has taken over: a fifth of all
 * calls, succeeded or not, and ten per second, for ten seconds.
 *
 * It is told of successes by `deposit` and of failures by `withdraw`, so a call that fails twice counts twice.
 *
 * @returns {import('keelson/retry').RetryBudget}
 */
export function finagle() {
  const slices = new Float64Array(10);
  const sliceMs = ttlMs / slices.length;
  const reserve = (minPerSecond * ttlMs) / 1000;
  let slice = 0;
  let waiting = 0;
  /** @param {number} tries */
  const add = (tries) => {
    const at = slice % slices.length;
    slices[at] = (slices[at] ?? 0) + tries;
  };
  /** @param {number} now */
  const turn = (now) => {
    const current = Math.floor(now / sliceMs);
    for (let left = Math.min(slices.length, current - slice); left > 0; left--)
      slices[(current - left + 1) % slices.length] = 0;
    slice = current;
    add(waiting);
    waiting = 0;
  };
  return {
    deposit: () => {
      waiting += ratio;
    },
    withdraw: (now) => {
      waiting += ratio;
      turn(now);
      let balance = reserve;
      for (const part of slices) balance += part;
      if (balance < 1) return false;
      add(-1);
      return true;
    },
    snapshot: () => ({ available: 0, withdrawn: 0, refused: 0 }),
  };
}
