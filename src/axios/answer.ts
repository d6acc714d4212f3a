import type { Readable } from 'node:stream';
import type { Call } from '../core/call.js';
import type { Cancellation } from '../core/cancel.js';
import { BodyEnd, BodyHold } from '../http/body-end.js';
import { relay } from '../http/relay.js';
import { cancelBody, watchBody } from '../http/response-body.js';
import { type AnsweredHeaders, outcomeOfStatus } from '../http/verdict.js';
import { bodyStream } from './body-stream.js';
import { type AxiosErrorLike, type AxiosResponseLike, isStreamed } from './native.js';
import type { AxiosRequest } from './request.js';

/** What came back for one attempt: a response, whether or not `validateStatus` lets it pass. */
export interface AxiosAnswer {
  /** Status code. */
  readonly status: number;
  /** As axios has it; what `transformResponse` will make of its data is not known yet. */
  readonly response: AxiosResponseLike;
  /** The error that axios made of the status; the caller gets it if this answer is the last. */
  readonly error: AxiosErrorLike | undefined;
}

type Shape = Record<string, unknown> | null | undefined;
const has = (value: unknown, method: string): boolean => typeof (value as Shape)?.[method] === 'function';

const isNodeStream = (data: unknown): data is Readable => has(data, 'pipe') && has(data, 'read');
const isWebStream = (data: unknown): data is ReadableStream<Uint8Array> => has(data, 'getReader');
const isResponse = (data: unknown): data is Response => has(data, 'arrayBuffer') && has(data, 'clone');

/** One try of a request. */
export interface Try {
  readonly request: AxiosRequest;
  readonly call: Call;
}

/** Adapters of others may answer with headers that are a plain record. */
export function headersOf({ headers }: AxiosResponseLike): AnsweredHeaders {
  if (has(headers, 'get')) return headers as AnsweredHeaders;
  const entries = Object.entries((headers ?? {}) as Record<string, unknown>);
  return { get: (name) => entries.find(([key]) => key.toLowerCase() === name)?.[1] };
}

/** Nobody reads an empty stream, and nobody has to. */
function isEmpty(method: string, response: AxiosResponseLike): boolean {
  const { status } = response;
  return (
    method === 'HEAD' || status === 204 || status === 304 || headersOf(response).get('content-length') === '0'
  );
}

/** The data of a response, as one that tells its end if it is read later. */
interface Watched {
  readonly data: unknown;
  /** `undefined`: it is all there. */
  readonly end: BodyEnd | undefined;
}

function watch(response: AxiosResponseLike, cancel: Cancellation): Watched {
  const { data, status } = response;
  const outcome = outcomeOfStatus(status, headersOf(response));
  if (isResponse(data)) return { data, end: watchBody(data, () => outcome, { cancel }) };
  const end = new BodyEnd(outcome, cancel);
  if (isNodeStream(data)) return { data: bodyStream(data, new BodyHold(end)), end };
  if (isWebStream(data)) return { data: relay(data, new BodyHold(end), undefined), end };
  return { data, end: undefined };
}

/** One answer, and the end of its data. */
export class Answer implements AxiosAnswer {
  constructor(
    readonly response: AxiosResponseLike,
    readonly error: AxiosErrorLike | undefined,
    /** `undefined`: the data is all there. */
    readonly end: BodyEnd | undefined,
  ) {}

  get status(): number {
    return this.response.status;
  }

  /** Lets go of data that nobody will read. */
  discard(): void {
    const { data } = this.response;
    if (this.end === undefined) return;
    if (isNodeStream(data)) data.destroy();
    else if (isWebStream(data)) data.cancel().catch(() => undefined);
    else cancelBody(data as Response);
  }
}

/**
 * Makes an answer of a response, and of the error that holds it, if there is one. Both name the caller's own config.
 */
export function answerOf(
  response: AxiosResponseLike,
  error: AxiosErrorLike | undefined,
  { request, call }: Try,
): Answer {
  const { config, method } = request;
  response.config = config;
  if (!isStreamed(config) || isEmpty(method, response)) return new Answer(response, error, undefined);
  const { data, end } = watch(response, call.cancel);
  // Another one: the adapter goes on to refer to its own, and would keep a stream that everybody else has forgotten.
  const ours = { ...response, data };
  if (error !== undefined) error.response = ours;
  return new Answer(ours, error, end);
}
