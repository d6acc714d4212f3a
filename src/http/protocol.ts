import { systemClock } from '../core/clock.js';
import type { Feedback, Outcome } from '../core/outcome.js';
import type { Protocol } from '../core/protocol.js';
import { isReplayable } from './body-kind.js';
import { loadHeader, parseLoad } from './load-header.js';
import { retryAfterMsHeader, shedHeader } from './reply.js';
import type { HttpRequest } from './request.js';
import { cancelBody, watchBody } from './response-body.js';
import { parseRetryAfter, retryAfterCapMs } from './retry-after.js';
import { classifyError } from './wire-error.js';

function classifyResponse(response: Response): Outcome {
  const { status } = response;
  if (status < 500) {
    if (status === 429) return 'overload';
    // Status 0 is no answer: `Response.error()`, or a redirect that a browser-like fetch hides.
    return status === 0 && response.type !== 'opaqueredirect' ? 'failure' : 'success';
  }
  if (status === 503 && response.headers.get(shedHeader) !== null) return 'overload';
  // Neither is a sign of ill health: the method or the protocol is not for this server, or for any of its kind.
  return status === 501 || status === 505 ? 'success' : 'failure';
}

const readWallMs = (): number => systemClock.wallMs();

/** Our own servers tell milliseconds where they know them; their whole seconds are for others. */
function retryAfterOf(headers: Headers): number | undefined {
  const exact = headers.get(retryAfterMsHeader);
  if (exact !== null && /^\d{1,9}$/.test(exact)) return Math.min(Number(exact), retryAfterCapMs);
  if (headers.get(shedHeader) !== null) return undefined;
  return parseRetryAfter(headers.get('retry-after'), headers.get('date'), readWallMs);
}

function feedbackOf(response: Response): Feedback | undefined {
  const { headers, status } = response;
  const load = parseLoad(headers.get(loadHeader));
  const retryAfterMs = status === 429 || status === 503 ? retryAfterOf(headers) : undefined;
  if (load === undefined && retryAfterMs === undefined) return undefined;
  return {
    ...(load === undefined ? undefined : { load }),
    ...(retryAfterMs === undefined ? undefined : { retryAfterMs }),
  };
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
  feedback: feedbackOf,
  onEnd: (response, done) => watchBody(response, classifyResponse)?.listen(done) ?? false,
  replay: (request) => (isReplayable(request.init?.body) ? request : undefined),
  discard: cancelBody,
};
