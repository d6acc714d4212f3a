import { refusal } from '../core/errors.js';
import type { Outcome } from '../core/outcome.js';
import type { Protocol } from '../core/protocol.js';
import { Attempt } from './attempt.js';
import type { ConnectAnswer } from './connect-answer.js';
import { type ConnectRequest, type OutgoingRequest, outgoing } from './connect-request.js';
import { feedbackOf } from './feedback.js';
import { outcomeOfError } from './wire-fault.js';

/** A middleware of the user's may answer in its own way. */
const ours = (answer: ConnectAnswer): Attempt<OutgoingRequest> | undefined =>
  answer instanceof Attempt ? answer : undefined;

function classify(answer: ConnectAnswer | undefined): Outcome {
  // Whatever is thrown instead of an answer is a fault on this side: headers that cannot be sent, a middleware's error.
  if (answer === undefined) return 'ignored';
  // A stream that has begun is a good answer so far.
  return answer.error === undefined ? 'success' : outcomeOfError(answer.error);
}

/**
 * What is known of calls that go out through a transport of ours.
 *
 * A call is answered with its one message or the first of its stream; then it counts, and is not tried again. It is over
 * when all of the answer was read.
 *
 * One message can be sent again. So can a stream of the caller's of no more than one message, or of which no more was taken
 * when its attempt failed; longer ones cannot, nor those whose writer was told the headers of an answer.
 */
export const connectClientProtocol: Protocol<ConnectRequest, ConnectAnswer> = {
  classify,
  feedback: ({ error, response }) => feedbackOf(error, response),
  onEnd: (answer, done) => ours(answer)?.onEnd(done) ?? false,
  replay: (request) => (outgoing(request).replayable ? request : undefined),
  unseen: ({ unseen }) => unseen,
  discard: (answer) =>
    ours(answer)?.abandon(refusal('CANCELLED', 'nobody waits for the answer', { side: 'client' })),
};
