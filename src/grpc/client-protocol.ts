import { status } from '@grpc/grpc-js';
import type { Outcome } from '../core/outcome.js';
import type { Protocol } from '../core/protocol.js';
import type { GrpcAnswer } from './grpc-answer.js';
import { type GrpcRequest, OutgoingRequest } from './grpc-request.js';
import { outcomeOfEnd } from './local-status.js';
import { feedbackOfStatus, loadOfMetadata } from './status.js';

function classify(answer: GrpcAnswer | undefined): Outcome {
  // Whatever is thrown instead of a status is a fault on this side: metadata that cannot be sent, a middleware's error.
  if (answer === undefined) return 'ignored';
  // A stream that has begun is a good answer so far.
  return answer.status === undefined ? 'success' : outcomeOfEnd(answer.status);
}

/**
 * What is known of gRPC calls that go out through a channel of ours.
 *
 * Of statuses UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE and DATA_LOSS are a `failure`, as is a stream that is reset
 * without one; RESOURCE_EXHAUSTED is `overload`, except for a message over the size limit, which like CANCELLED, and
 * like credentials of the call that could not be had, is `ignored`. Every other is a `success`, if not the answer that was
 * hoped for. Told besides: `grpc-retry-pushback-ms`, and the server's load.
 *
 * One message is an answer when its status is there, a stream when its headers are: then it counts, and is not tried again
 * (gRPC proposal A6 draws the same line). It is over when its status is there.
 *
 * A request can be sent again while all of it is kept; see `replayBufferBytes`. One that is still being written can be
 * only if nobody has seen it.
 */
export const grpcClientProtocol: Protocol<GrpcRequest, GrpcAnswer> = {
  classify,
  feedback: ({ status: end, headers }) => {
    if (end !== undefined) return feedbackOfStatus(end, headers);
    const load = loadOfMetadata(headers);
    return load && { load };
  },
  onEnd: (answer, done) => answer.onEnd(done),
  replay: (request) => (request instanceof OutgoingRequest && request.replayable ? request : undefined),
  unseen: ({ unseen }) => unseen,
  discard: (answer) => answer.cancel(status.CANCELLED, 'Cancelled on client'),
};
