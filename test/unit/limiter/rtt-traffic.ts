import type { Feedback, Outcome, Permit } from 'keelson/core';
import type { RttLimiter } from 'keelson/limiter';

/** Calls that come together ten times a second. */
export interface Traffic {
  readonly seconds: number;
  readonly rttMs: number;
  readonly together: number;
  readonly outcome?: Outcome;
  readonly feedback?: Feedback;
}

/** Just below a second, so that windows end exactly once a second, with the calls that begin it. */
export const windowMs = 999;

export function acquire(limiter: RttLimiter, now: number, count: number): Permit[] {
  return Array.from({ length: count }, () => limiter.tryAcquire(now)).filter((permit) => permit !== null);
}

/** Plays traffic, each piece after the one before. @returns the limit after each second */
export function traffic(limiter: RttLimiter): (piece: Traffic) => number[] {
  let now = 0;
  return ({ seconds, rttMs, together, outcome = 'success', feedback }) => {
    const limits: number[] = [];
    for (let tenth = 0; tenth < seconds * 10; tenth++, now += 100) {
      for (const permit of acquire(limiter, now, together)) permit.release(outcome, now + rttMs, feedback);
      if (tenth % 10 === 9) limits.push(limiter.snapshot(now + rttMs).limit);
    }
    return limits;
  };
}
