import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { isGovernanceError } from '../core/errors.js';
import { isCoded, statusOfError } from './error-status.js';

/** A status whose native error also tells what lies behind it. */
export interface CausedStatus extends StatusObject {
  readonly cause: unknown;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * What a caller is told instead of an answer. grpc-js makes a native `ServiceError` of it, whose `cause` is the error: for a
 * refusal the GovernanceError. A fault on this side without a status of its own is INTERNAL.
 *
 * Source: gRPC proposal A54, which allows a client's own parts no other status.
 */
export function statusForCaller(error: unknown): CausedStatus {
  if (!isGovernanceError(error) && !isCoded(error))
    return { code: status.INTERNAL, details: textOf(error), metadata: new Metadata(), cause: error };
  const { code, details, metadata } = statusOfError(error);
  return { code, details, metadata: metadata ?? new Metadata(), cause: error };
}
