import type { Outcome } from '../core/outcome.js';
import type { Protocol } from '../core/protocol.js';
import { isReplayable } from './body-kind.js';
import { checkResponse } from './redirect.js';
import type { HttpRequest } from './request.js';
import { cancelBody, watchBody } from './response-body.js';
import { feedbackOfAnswer, outcomeOfStatus } from './verdict.js';
import { classifyError } from './wire-error.js';

function classifyResponse(response: Response): Outcome {
  const { status } = response;
  // Nearly all, and it is asked several times a call: the platform takes longer to give its headers than all that is done here.
  if (status >= 100 && status < 400) return 'success';
  // Status 0 is no answer: `Response.error()`, or a redirect that a browser-like fetch hides.
  if (status === 0) return response.type === 'opaqueredirect' ? 'success' : 'failure';
  return outcomeOfStatus(status, response.headers);
}

/**
 * What is known of HTTP calls that go out by `fetch`.
 *
 * Statuses 200 to 499 are a `success`: who asks for what is not there gets a good answer. 429, and 503 with our shed
 * header, are `overload`; any other 5xx is a `failure`, except 501 and 505. Of errors, those of the network and of TLS are a
 * `failure`; a request that could not be made, an upload that failed and an abort are `ignored`.
 * Told besides: `Retry-After` with 429 and 503 (seconds or a date, at most a minute), and the server's load header.
 *
 * A response is over when its body was read or cancelled. One without a body is over at once. A body that nobody touches
 * is over when the garbage collector finds it, so read or cancel what you asked for.
 *
 * A request can be sent again unless its body is a stream.
 */
export const httpProtocol: Protocol<HttpRequest, Response> = {
  classify: (response, error) => (response === undefined ? classifyError(error) : classifyResponse(response)),
  feedback: (response) => {
    checkResponse(response);
    return feedbackOfAnswer(response.status, response.headers);
  },
  onEnd: (response, done) => watchBody(response, classifyResponse)?.listen(done) ?? false,
  replay: (request) => (isReplayable(request.init?.body) ? request : undefined),
  discard: cancelBody,
};
