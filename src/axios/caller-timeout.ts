import { type GovernanceError, isGovernanceError } from '../core/errors.js';
import type { AxiosConfig } from './native.js';
import type { NativeSender } from './native-sender.js';

/** The time that the caller gave in axios's own way: `timeout` in milliseconds, where 0 is none. */
export function timeoutOf({ timeout }: AxiosConfig): number {
  const ms = typeof timeout === 'string' ? Number.parseInt(timeout, 10) : Number(timeout ?? 0);
  return ms > 0 ? ms : Number.POSITIVE_INFINITY;
}

/** Whether a call ended because this process gave it no more time. */
export function isOutOfTime(error: unknown): error is GovernanceError {
  return isGovernanceError(error) && error.code === 'DEADLINE_EXCEEDED' && error.side === 'client';
}

/**
 * The error that the caller would have got from axios: the same class, code and words, whichever attempt it was. What lies
 * behind is its `cause`.
 */
export async function timeoutError(
  config: AxiosConfig,
  native: NativeSender,
  cause: GovernanceError,
): Promise<Error> {
  const AxiosError = await native.errorClass();
  if (AxiosError === undefined) return cause;
  const { timeoutErrorMessage: words, transitional, timeout } = config;
  const message = typeof words === 'string' && words !== '' ? words : `timeout of ${timeout}ms exceeded`;
  const clear = (transitional as { clarifyTimeoutError?: unknown } | undefined)?.clarifyTimeoutError === true;
  const error = new AxiosError(message, clear || native.byFetch ? 'ETIMEDOUT' : 'ECONNABORTED', config);
  // As axios has it: not enumerable, for loggers walk along what is.
  return Object.defineProperty(error, 'cause', { value: cause, writable: true, configurable: true });
}
