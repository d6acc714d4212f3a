import { Code } from '@connectrpc/connect';
import type { Outcome } from '../core/outcome.js';

const outcomes: Readonly<Record<number, Outcome>> = {
  // The peer says that the call was given up; by whom, it does not say.
  [Code.Canceled]: 'ignored',
  [Code.Unknown]: 'failure',
  [Code.InvalidArgument]: 'success',
  [Code.DeadlineExceeded]: 'failure',
  [Code.NotFound]: 'success',
  [Code.AlreadyExists]: 'success',
  [Code.PermissionDenied]: 'success',
  [Code.ResourceExhausted]: 'overload',
  [Code.FailedPrecondition]: 'success',
  [Code.Aborted]: 'success',
  [Code.OutOfRange]: 'success',
  // Not for this server, or for any of its kind.
  [Code.Unimplemented]: 'success',
  [Code.Internal]: 'failure',
  [Code.Unavailable]: 'failure',
  [Code.DataLoss]: 'failure',
  [Code.Unauthenticated]: 'success',
};

/** What a code says of whoever answered with it; any number that is no code is a `failure`. */
export function outcomeOfCode(code: number): Outcome {
  return outcomes[code] ?? 'failure';
}

/** `not_found` for 5, as the Connect protocol writes it; the number itself for what is no code. */
export function codeName(code: number): string {
  const name: string | undefined = Code[code];
  if (name === undefined) return String(code);
  return name.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}
