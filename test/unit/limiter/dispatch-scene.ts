import { type Call, type Cancellation, createCall, isGovernanceError } from 'keelson/core';
import { type DispatchQueueOptions, dispatchQueue } from 'keelson/limiter';
import { manualClock } from 'keelson/testing';

/** What a call does: works in one go for so long, and answers then or when it is told to. */
export interface Job {
  readonly name: string;
  readonly ms?: number;
  /** What it waits for before it answers; without it there is an answer at once. Made when it runs. */
  readonly end?: Promise<unknown> | (() => Promise<unknown>);
}

/** What is known of a call. */
export interface Asked {
  readonly operation?: string;
  readonly priority?: number;
  readonly key?: string;
  readonly deadline?: number;
  readonly cancel?: Cancellation;
}

/** Lets everything run that is resolved. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A queue of a thread whose time and turns are the test's. */
export function scene(options: DispatchQueueOptions = {}) {
  const clock = manualClock(1000);
  const turns: (() => void)[] = [];
  const log: string[] = [];
  const seen: { call: Call; outcome: string; retryAfterMs: number | undefined }[] = [];
  let busyMs = 0;
  const queue = dispatchQueue({
    clock,
    turn: (run) => void turns.push(run),
    busyMs: () => busyMs,
    events: () => Number.NaN,
    burstRatio: 1,
    ...options,
  });
  const work = (ms: number): void => {
    busyMs += ms;
    clock.advanceSync(ms);
  };
  const handler = queue.middleware<Job, string>()(({ name, ms = 0, end }) => {
    log.push(name);
    work(ms);
    return Promise.resolve(typeof end === 'function' ? end() : end).then(() => name);
  });
  const ask = (job: Job, asked: Asked = {}): Promise<string> => {
    const { operation = 'GET', ...more } = asked;
    const call = createCall({ side: 'server', service: 'shop', operation, ...more });
    const end = (outcome: string, retryAfterMs?: number): string => {
      seen.push({ call, outcome, retryAfterMs });
      return outcome;
    };
    return handler(job, call).then(
      (answer) => end(answer),
      (error: unknown) =>
        isGovernanceError(error) ? end(error.code, error.retryAfterMs) : end(String(error)),
    );
  };
  const turn = async (): Promise<void> => {
    for (const run of turns.splice(0)) run();
    await settle();
  };
  return {
    clock,
    queue,
    log,
    seen,
    work,
    ask,
    handler,
    /** How many turns are asked for. */
    pending: () => turns.length,
    /** The loop turns once. */
    turn,
    /** The loop turns until nobody waits. */
    async drain(): Promise<void> {
      for (let left = 10_000; left > 0 && queue.snapshot(clock.now()).queued > 0; left--) {
        await turn();
        await clock.advance(0.01);
      }
    },
    /** Calls one after the other, until it is known what they cost. */
    async learn(ms: number, asked: Asked = {}, count = 30): Promise<void> {
      for (let i = 0; i < count; i++) {
        await ask({ name: 'learn', ms }, asked);
        await clock.advance(ms + 1);
      }
      log.length = 0;
      seen.length = 0;
    },
  };
}
