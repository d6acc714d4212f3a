import { Code, ConnectError } from '@connectrpc/connect';
import type { Outcome } from '../core/outcome.js';
import { shedHeader } from '../core/refusal-reply.js';
import { outcomeOfStatus } from '../http/verdict.js';
import { classifyError } from '../http/wire-error.js';
import { outcomeOfCode } from './code.js';

/** connect-es, connect-go and grpc-js say in these words that a message is too large, under the code of overload. */
const tooLarge = /message .*(larger than|exceeds maximum size)/i;

/** What a transport makes of an HTTP response that is none of RPC. */
const plainHttp = /^HTTP (\d{3})$/;

/** What a transport says of a request that it could not write. */
const unwritable = /^serialize /;

const refusedStream = /\b(NGHTTP2_)?REFUSED_STREAM\b/;
const calmDown = /\b(NGHTTP2_)?ENHANCE_YOUR_CALM\b/;

/** Codes of errors that there are only before a connection. */
const neverConnected: ReadonlySet<unknown> = new Set(['EAI_AGAIN', 'ECONNREFUSED', 'ENOTFOUND']);
const connecting: ReadonlySet<unknown> = new Set(['connect', 'getaddrinfo']);

interface NodeError {
  readonly code: string;
  readonly syscall?: unknown;
}

/** Errors are chained a few deep at most; a longer chain is a loop. */
const deepest = 8;

/** The error of the platform that lies behind one of a transport. */
function nodeErrorOf(error: ConnectError): NodeError | undefined {
  let at: unknown = error.cause;
  for (let depth = 0; depth < deepest && typeof at === 'object' && at !== null; depth++) {
    const { code, cause } = at as { readonly code?: unknown; readonly cause?: unknown };
    if (typeof code === 'string') return at as NodeError;
    at = cause;
  }
  return undefined;
}

/** What a callee answered came with headers; what a transport itself says has none. */
function isAnswer({ metadata }: ConnectError): boolean {
  return !metadata.keys().next().done;
}

const textOf = (error: ConnectError): string => `${error.rawMessage} ${String(error.cause ?? '')}`;

/** What the callee says by a code, or whatever answers in its place by a status of HTTP. */
function outcomeOfAnswer({ code, rawMessage, metadata }: ConnectError): Outcome {
  if (metadata.has(shedHeader)) return 'overload';
  const [, status] = plainHttp.exec(rawMessage) ?? [];
  return status === undefined ? outcomeOfCode(code) : outcomeOfStatus(Number(status), metadata);
}

/** What became of the connection, or of the messages on it. */
function outcomeOfFault(error: ConnectError): Outcome {
  if (unwritable.test(error.rawMessage)) return 'ignored';
  if (calmDown.test(textOf(error))) return 'overload';
  const behind = nodeErrorOf(error);
  if (behind !== undefined) return classifyError(behind);
  // An interceptor of the transport's, the caller's own stream of messages.
  const own = error.code === Code.Unknown || error.code === Code.Internal;
  return own && error.cause !== undefined ? 'ignored' : 'failure';
}

/**
 * What an error of a transport says of the callee.
 *
 * | code | outcome |
 * | --- | --- |
 * | `invalid_argument`, `not_found`, `already_exists`, `permission_denied`, `unauthenticated`, `failed_precondition`, `aborted`, `out_of_range`, `unimplemented` | `success`: a good answer, if not the one that was hoped for |
 * | `unknown`, `deadline_exceeded`, `internal`, `unavailable`, `data_loss`, and any number that is no code | `failure` |
 * | `resource_exhausted`, and any code of a keelson server that sheds | `overload` |
 * | `canceled`, and `resource_exhausted` for a message over a limit of size | `ignored` |
 *
 * That holds for what the callee answered. A code that the transport itself gives to a connection that was refused,
 * reset or lost (`canceled` and `aborted` among them) is a `failure`; what is wrong with the request is `ignored`.
 *
 * Source: for the line between the rows kratos (`transport/http/status` and `middleware/circuitbreaker`: what maps to 500,
 * 503 and 504 counts) and Envoy's outlier detection; connectrpc/connect-es `connect-node/src/node-error.ts` for what
 * becomes of the platform's errors.
 */
export function outcomeOfError(error: ConnectError): Outcome {
  if (error.code === Code.ResourceExhausted && tooLarge.test(error.rawMessage)) return 'ignored';
  return isAnswer(error) ? outcomeOfAnswer(error) : outcomeOfFault(error);
}

/** Whether the callee refused the stream before it looked; GOAWAY refuses too. */
export function wasRefused(error: unknown): boolean {
  return error instanceof ConnectError && !isAnswer(error) && refusedStream.test(textOf(error));
}

/**
 * Whether the callee cannot have seen the call: there was no connection, or it refused the stream before it looked.
 *
 * Source: gRPC proposal A6, "Transparent Retries"; RFC 9113, 8.7.
 */
export function wasUnseen(error: ConnectError): boolean {
  if (isAnswer(error)) return false;
  if (wasRefused(error)) return true;
  const behind = nodeErrorOf(error);
  return behind !== undefined && (neverConnected.has(behind.code) || connecting.has(behind.syscall));
}
