import { Code, ConnectError } from '@connectrpc/connect';
import type { Cancellation } from '../core/cancel.js';
import { type GovernanceError, isGovernanceError } from '../core/errors.js';
import { refusalHeaders, retryAfterMsHeader, shedHeader } from '../core/refusal-reply.js';
import { pushbackKey } from './feedback.js';

/**
 * A refusal as the error that servers and clients of Connect know; the GovernanceError is its `cause`. One that a server
 * itself made also tells by headers that it sheds and when to come back; what a callee of it said is not passed on.
 */
export function errorOfRefusal(error: GovernanceError): ConnectError {
  const headers = refusalHeaders(error);
  if (error.side === 'server' && error.retryAfterMs !== undefined)
    headers[pushbackKey] = String(Math.ceil(error.retryAfterMs));
  return new ConnectError(error.message, error.grpcStatus, headers, undefined, error);
}

/**
 * What a caller is told instead of an answer, whose own reason for giving up is the `cause`. A fault on this side without
 * a code of its own is `internal`.
 *
 * Source: gRPC proposal A54, which allows a client's own parts no other code.
 */
export function errorForCaller(error: unknown, cancel: Cancellation): ConnectError {
  if (isGovernanceError(error)) return errorOfRefusal(error);
  return ConnectError.from(error, cancel.aborted ? Code.Canceled : Code.Internal);
}

/** What only the server that sheds says of itself. */
const ofShedder = [shedHeader, pushbackKey, retryAfterMsHeader, 'retry-after'];

/**
 * An error of a handler as it goes out: a refusal by its own code, any other as it is. One that came from a callee which
 * sheds goes on without the words about that: this server does not.
 */
export function errorForClient(error: unknown): unknown {
  if (isGovernanceError(error)) return errorOfRefusal(error);
  if (!(error instanceof ConnectError) || !error.metadata.has(shedHeader)) return error;
  const own = new ConnectError(error.rawMessage, error.code, error.metadata, undefined, error.cause);
  own.details = error.details;
  for (const name of ofShedder) own.metadata.delete(name);
  return own;
}
