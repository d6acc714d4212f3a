import type { Gate, Outcome, Permit, RejectionCode } from 'keelson/core';

/** A gate that writes down what happens to it. */
export interface Recorder extends Gate {
  readonly log: string[];
  refuse: boolean;
  fault: 'tryAcquire' | 'observe' | 'release' | undefined;
}

export function recorder(name: string, code: RejectionCode = 'OVERLOADED', retryAfterMs?: number): Recorder {
  const log: string[] = [];
  const fail = (where: Recorder['fault']) => {
    if (gate.fault === where) throw new Error(`${name} ${where}`);
  };
  const gate: Recorder = {
    code,
    log,
    refuse: false,
    fault: undefined,
    tryAcquire(now) {
      fail('tryAcquire');
      log.push(gate.refuse ? `refuse@${now}` : `acquire@${now}`);
      if (gate.refuse) return null;
      let over = false;
      const permit: Permit = {
        observe(outcome: Outcome, at, feedback) {
          log.push(`observe ${outcome}@${at}${feedback ? ` ${JSON.stringify(feedback)}` : ''}`);
          fail('observe');
        },
        release(outcome: Outcome, at, feedback) {
          if (over) return;
          over = true;
          log.push(`release ${outcome}@${at}${feedback ? ` ${JSON.stringify(feedback)}` : ''}`);
          fail('release');
        },
      };
      return permit;
    },
    retryAfterMs: () => retryAfterMs,
  };
  return gate;
}
