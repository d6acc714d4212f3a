import { type Channel, type StatusObject, status } from '@grpc/grpc-js';
import type { Outcome } from '../core/outcome.js';
import { outcomeOfStatus } from './status.js';

/** grpc-js' words for REFUSED_STREAM, by which a server says that it did not look at the call; GOAWAY gives it too. */
const refused = 'Stream refused by server';

/** Its words for a call for which there was no connection in the end, though one may have refused it unseen before. */
const unconnected = 'No connection established';

/** Its words for a stream that the peer reset, with a code that says no more than that it will not go on. */
const reset = 'Call cancelled';

/** Its words for credentials of the call that could not be had: nothing was sent. */
const unsigned = 'Getting metadata from plugin failed';

/**
 * Whether grpc-js made a status itself. One that a peer sent may have the same words, if that passes on how a call of its
 * own ended; but it came with headers, `content-type` at least.
 */
function isLocal({ metadata }: StatusObject): boolean {
  return Object.keys(metadata.toJSON()).length === 0;
}

/**
 * Whether a call that ended without an answer cannot have been seen by its callee: no connection took it, or the server
 * refused it unseen.
 *
 * grpc-js keeps that to itself; but a call that no connection took has no peer, and names the channel's target instead, or
 * says in words that there was none, if one had refused it unseen before.
 *
 * Source: gRPC proposal A6, "Transparent Retries".
 *
 * @param peer - of the call
 */
export function wasUnseen(end: StatusObject, peer: string, channel: Channel): boolean {
  if (end.code !== status.UNAVAILABLE || !isLocal(end)) return false;
  return peer === channel.getTarget() || end.details === refused || end.details.startsWith(unconnected);
}

/** What the end of a call says of its callee. A reset without a status is no answer, though grpc-js calls it CANCELLED. */
export function outcomeOfEnd(end: StatusObject): Outcome {
  if (end.code === status.CANCELLED && end.details === reset && isLocal(end)) return 'failure';
  if (end.details.startsWith(unsigned) && isLocal(end)) return 'ignored';
  return outcomeOfStatus(end);
}
