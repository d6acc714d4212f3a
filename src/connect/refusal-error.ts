import { Code, ConnectError } from '@connectrpc/connect';
import type { Cancellation } from '../core/cancel.js';
import { type GovernanceError, isGovernanceError } from '../core/errors.js';
import { refusalHeaders, retryAfterMsHeader, shedHeader } from '../core/refusal-reply.js';
import { noRetry, retryHeader } from '../core/retried-below.js';
import { loadHeader } from '../http/load-header.js';
import { orcaBinaryHeader } from '../http/orca.js';
import { notAgain, pushbackKey } from './feedback.js';

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

/**
 * An error as it goes out, when what failed was retried further down: clients of keelson, and of gRPC, are told not to try
 * again. In a copy, for a handler may throw one error several times; one without a code becomes what connect makes of it.
 */
export function errorRetriedBelow(error: unknown): ConnectError {
  const coded = error instanceof ConnectError ? error : undefined;
  const told = new ConnectError(
    coded?.rawMessage ?? 'internal error',
    coded?.code ?? Code.Internal,
    coded?.metadata,
    undefined,
    coded === undefined ? error : coded.cause,
  );
  told.details = coded?.details ?? [];
  told.metadata.set(retryHeader, noRetry);
  told.metadata.set(pushbackKey, notAgain);
  return told;
}

/** What only the server that sheds says of itself. */
const ofShedder = [shedHeader, pushbackKey, retryAfterMsHeader, 'retry-after'];
/** What every server says of itself alone. */
const ofServer = [loadHeader, orcaBinaryHeader];

/**
 * An error of a handler as it goes out: a refusal by its own code, any other as it is. One that came from a callee goes on
 * without what that says of itself: that it sheds, which this server does not, and how loaded it is.
 */
export function errorForClient(error: unknown): unknown {
  if (isGovernanceError(error)) return errorOfRefusal(error);
  if (!(error instanceof ConnectError)) return error;
  const sheds = error.metadata.has(shedHeader);
  if (!sheds && !ofServer.some((name) => error.metadata.has(name))) return error;
  const own = new ConnectError(error.rawMessage, error.code, error.metadata, undefined, error.cause);
  own.details = error.details;
  for (const name of sheds ? [...ofShedder, ...ofServer] : ofServer) own.metadata.delete(name);
  return own;
}
