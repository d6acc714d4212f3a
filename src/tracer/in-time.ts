import { diag } from '@opentelemetry/api';
import type { Clock } from '../core/clock.js';
import { within } from '../core/within.js';

/** What is done with it when nobody says otherwise. */
function say(fault: unknown): void {
  diag.error('keelson: spans could not be flushed', fault);
}

/**
 * Runs something that may hang or throw, and waits for it no longer than that; never rejects.
 *
 * @param failed - hears of what it throws or rejects with
 */
export async function inTime(
  clock: Clock,
  ms: number,
  work: () => unknown,
  failed: (fault: unknown) => void = say,
): Promise<void> {
  // In a function of its own: what it throws at once is a rejection like others.
  const done = async (): Promise<void> => {
    await work();
  };
  try {
    await within(clock, ms, done());
  } catch (fault) {
    failed(fault);
  }
}
