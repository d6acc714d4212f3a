import type { ManualClock } from 'keelson/testing';

/** Longer than anything here waits for; milliseconds. */
const longestMs = 600_000;

/** Lets time pass until something is done. */
export async function ticking(clock: ManualClock, work: Promise<unknown>): Promise<void> {
  let done = false;
  const settled = work.finally(() => {
    done = true;
  });
  for (let passed = 0; !done && passed < longestMs; passed += 100) {
    await clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (!done) throw new Error(`not done after ${longestMs} ms of its own time`);
  await settled;
}
