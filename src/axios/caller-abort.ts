import { type Cancellation, cancelledBy, cancelSource, uncancelled } from '../core/cancel.js';
import type { AxiosConfig } from './native.js';

/** How the caller of one request gives up. */
export interface CallerAbort {
  /** Both of the ways that axios has, as one. */
  readonly cancel: Cancellation;
  /** Lets go of the caller's signal and token, which may live as long as the process. */
  dispose(): void;
}

interface Token {
  subscribe(listener: (reason: unknown) => void): void;
  unsubscribe(listener: (reason: unknown) => void): void;
}

const never: CallerAbort = { cancel: uncancelled, dispose: () => undefined };

function isSignal(value: unknown): value is AbortSignal {
  return typeof (value as Partial<AbortSignal> | null | undefined)?.addEventListener === 'function';
}

function isToken(value: unknown): value is Token {
  return typeof (value as Partial<Token> | null | undefined)?.subscribe === 'function';
}

/** Reads `signal` and `cancelToken` of a config. */
export function abortOf({ signal, cancelToken }: AxiosConfig): CallerAbort {
  const token = isToken(cancelToken) ? cancelToken : undefined;
  if (!isSignal(signal) && token === undefined) return never;
  const cancel = cancelSource(isSignal(signal) ? cancelledBy(signal) : uncancelled);
  const listener = (reason: unknown): void => cancel.abort(reason);
  token?.subscribe(listener);
  return {
    cancel,
    dispose: () => {
      cancel.dispose();
      token?.unsubscribe(listener);
    },
  };
}
