import type { Clock } from '../core/clock.js';

/** The time for something ran out: unlike any other abort, that is the doing of who was asked. */
export class Late extends Error {
  override readonly name = 'Late';
}

/** What {@link within} needs. */
export interface WithinInit {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Ends it earlier. */
  readonly signal?: AbortSignal | undefined;
  /** Whether the process has to stay meanwhile. */
  readonly holdsProcess?: boolean | undefined;
}

/**
 * Runs something that may hang, for no longer than that.
 *
 * @param run - given a signal that is aborted when time is up; whether it listens or not, the wait is over then
 * @throws Late when time is up; the reason of the given signal when that is aborted
 */
export async function within<T>(
  { clock, timeoutMs, signal, holdsProcess = false }: WithinInit,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const control = new AbortController();
  const giveUp = (): void => control.abort(signal?.reason);
  const timer = clock.after(timeoutMs, () =>
    control.abort(new Late(`no answer within ${Math.ceil(timeoutMs)} ms`)),
  );
  if (holdsProcess) timer.hold?.(true);
  signal?.addEventListener('abort', giveUp);
  if (signal?.aborted) giveUp();
  try {
    return await orAborted(control.signal, run);
  } finally {
    timer.cancel();
    signal?.removeEventListener('abort', giveUp);
  }
}

/** Waits for what may never come, until a signal says that it is enough; then rejects with the signal's reason. */
export async function orAborted<T>(
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  let off = (): void => undefined;
  try {
    const aborted = new Promise<never>((_, reject) => {
      const listener = (): void => reject(signal.reason);
      signal.addEventListener('abort', listener);
      off = () => signal.removeEventListener('abort', listener);
    });
    return await Promise.race([run(signal), aborted]);
  } finally {
    off();
  }
}
