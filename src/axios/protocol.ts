import type { Protocol } from '../core/protocol.js';
import { isReplayable } from '../http/body-kind.js';
import { feedbackOfAnswer, outcomeOfStatus } from '../http/verdict.js';
import { Answer, type AxiosAnswer, headersOf } from './answer.js';
import { classifyAxiosError } from './axios-error.js';
import type { AxiosRequest } from './request.js';

/** The `form-data` package, which axios makes its forms of, calls itself FormData and is a stream. */
function isStream(data: unknown): boolean {
  return typeof (data as { pipe?: unknown } | null | undefined)?.pipe === 'function';
}

/** A middleware of the user's may answer in its own way. */
const ours = (answer: AxiosAnswer): Answer | undefined => (answer instanceof Answer ? answer : undefined);

/**
 * What is known of calls that axios makes.
 *
 * Statuses are judged as by `keelson/http`, before `validateStatus` makes an error of some. Errors of both adapters are
 * judged by one table: what the network or the callee did is a `failure`, what the caller did is `ignored`.
 *
 * A response is over when it is there, for axios gives it with its data; with `responseType: 'stream'` when the stream was
 * read to its end or destroyed. A stream that nobody touches is over when the garbage collector finds it.
 *
 * A request can be sent again unless its data is a stream, as forms of `postForm` are.
 */
export const axiosProtocol: Protocol<AxiosRequest, AxiosAnswer> = {
  classify: (answer, error) =>
    answer === undefined
      ? classifyAxiosError(error)
      : outcomeOfStatus(answer.status, headersOf(answer.response)),
  feedback: (answer) => feedbackOfAnswer(answer.status, headersOf(answer.response)),
  onEnd: (answer, done) => ours(answer)?.end?.listen(done) ?? false,
  replay: (request) => {
    const { data } = request.config;
    return isReplayable(data) && !isStream(data) ? request : undefined;
  },
  discard: (answer) => ours(answer)?.discard(),
};
