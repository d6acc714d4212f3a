import type { Gate, Outcome, Permit } from 'keelson/core';
import { concurrency } from 'keelson/limiter';

/** A limiter that keeps a record of how calls ended. */
export interface RecordingLimit {
  readonly gate: Gate;
  /** Of the calls that are over. */
  readonly outcomes: readonly Outcome[];
  /** The operation of each call when it was let in. */
  readonly asked: readonly (string | undefined)[];
  inflight(): number;
}

/** Lets in so many at one time. */
export function recordingLimit(limit = Number.MAX_SAFE_INTEGER): RecordingLimit {
  const inner = concurrency({ limit });
  const outcomes: Outcome[] = [];
  const asked: (string | undefined)[] = [];
  const gate: Gate = {
    code: inner.code,
    tryAcquire: (now, ask) => {
      const permit = inner.tryAcquire(now, ask);
      if (permit === null) return null;
      asked.push(ask?.operation);
      let released = false;
      const recorded: Permit = {
        observe: (...evidence) => permit.observe(...evidence),
        release: (outcome, ...rest) => {
          permit.release(outcome, ...rest);
          if (!released) outcomes.push(outcome);
          released = true;
        },
      };
      return recorded;
    },
  };
  return { gate, outcomes, asked, inflight: () => inner.snapshot(performance.now()).inflight };
}
