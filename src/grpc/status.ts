import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import type { GovernanceError } from '../core/errors.js';
import type { Feedback, Outcome, ServerLoad } from '../core/outcome.js';
import { shedCodes, shedHeader, tellsOverload } from '../core/refusal-reply.js';
import { neverAgain } from '../core/retried-below.js';
import { loadHeader, parseLoad } from '../http/load-header.js';
import { loadOfOrca, orcaBinaryHeader } from '../http/orca.js';
import { decodeOrca } from '../http/orca-message.js';
import { retryAfterCapMs } from '../http/retry-after.js';

/** Trailer by which a callee asks not to be tried again for some milliseconds, or, by a negative number, at all. */
export const pushbackKey = 'grpc-retry-pushback-ms';

/** Its value for: not at all. */
export const notAgain = '-1';

const outcomes: Readonly<Record<number, Outcome>> = {
  [status.OK]: 'success',
  // The peer says that the call was given up; by whom, it does not say.
  [status.CANCELLED]: 'ignored',
  [status.UNKNOWN]: 'failure',
  [status.INVALID_ARGUMENT]: 'success',
  [status.DEADLINE_EXCEEDED]: 'failure',
  [status.NOT_FOUND]: 'success',
  [status.ALREADY_EXISTS]: 'success',
  [status.PERMISSION_DENIED]: 'success',
  [status.RESOURCE_EXHAUSTED]: 'overload',
  [status.FAILED_PRECONDITION]: 'success',
  [status.ABORTED]: 'success',
  [status.OUT_OF_RANGE]: 'success',
  // Not for this server, or for any of its kind.
  [status.UNIMPLEMENTED]: 'success',
  [status.INTERNAL]: 'failure',
  [status.UNAVAILABLE]: 'failure',
  [status.DATA_LOSS]: 'failure',
  [status.UNAUTHENTICATED]: 'success',
};

/** grpc-js, grpc-go and grpc-java say in these words that a message is too large, under the status of overload. */
const tooLarge = /message .*(larger than|exceeds maximum size)/i;

/**
 * What a status says of whoever answered with it.
 *
 * | status | outcome |
 * | --- | --- |
 * | OK, INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, UNAUTHENTICATED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED | `success`: a good answer, if not the one that was hoped for |
 * | UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS, and any number that is no status | `failure` |
 * | RESOURCE_EXHAUSTED, and UNAVAILABLE of a keelson server that sheds | `overload` |
 * | CANCELLED, and RESOURCE_EXHAUSTED for a message over the size limit | `ignored` |
 *
 * Source: grpc/grpc `doc/statuscodes.md`; the line between the two first rows is that of kratos (`transport/http/status`
 * and `middleware/circuitbreaker`: what maps to 500, 503 and 504 counts) and of Envoy's outlier detection. gRPC's own
 * (proposal A50) counts every status but OK as a failure, which lets callers with bad requests eject good servers.
 */
export function outcomeOfStatus({ code, details, metadata }: StatusObject): Outcome {
  if (code === status.RESOURCE_EXHAUSTED) return tooLarge.test(details) ? 'ignored' : 'overload';
  if (code === status.UNAVAILABLE && metadata.get(shedHeader).length > 0) return 'overload';
  return outcomes[code] ?? 'failure';
}

function textAt(metadata: Metadata | undefined, name: string): string | undefined {
  const [value] = metadata?.get(name) ?? [];
  return typeof value === 'string' ? value : undefined;
}

/**
 * How long the callee asks to be left alone; milliseconds, at most a minute. What is negative or cannot be read means
 * "not again": `Infinity`.
 *
 * Source: gRPC proposal A6, "Pushback".
 */
export function pushbackMsOf(metadata: Metadata): number | undefined {
  const text = textAt(metadata, pushbackKey);
  if (text === undefined) return undefined;
  return /^\d{1,9}$/.test(text) ? Math.min(Number(text), retryAfterCapMs) : neverAgain;
}

/** How loaded the server is, by our own key or, of servers of others, by ORCA. */
export function loadOfMetadata(metadata: Metadata | undefined): ServerLoad | undefined {
  const own = parseLoad(textAt(metadata, loadHeader));
  if (own !== undefined) return own;
  const [report] = metadata?.get(orcaBinaryHeader) ?? [];
  return Buffer.isBuffer(report) ? loadOfOrca(decodeOrca(report)) : undefined;
}

/** What a status tells besides: time that ran out, a wish to be left alone, the server's load. */
export function feedbackOfStatus(end: StatusObject, headers?: Metadata): Feedback | undefined {
  const load = loadOfMetadata(end.metadata) ?? loadOfMetadata(headers);
  const retryAfterMs = end.code === status.OK ? undefined : pushbackMsOf(end.metadata);
  const timedOut = end.code === status.DEADLINE_EXCEEDED;
  const overloaded = end.code !== status.OK && tellsOverload(textAt(end.metadata, shedHeader));
  if (load === undefined && retryAfterMs === undefined && !timedOut && !overloaded) return undefined;
  return {
    ...(overloaded ? { overloaded } : undefined),
    ...(timedOut ? { timedOut } : undefined),
    ...(load === undefined ? undefined : { load }),
    ...(retryAfterMs === undefined ? undefined : { retryAfterMs }),
  };
}

/**
 * A refusal as a status. One that the server itself made also tells in its trailers that it sheds and when to come back;
 * one of its own callees is not passed on as if it were.
 */
export function statusOfRefusal(error: GovernanceError): StatusObject {
  const metadata = new Metadata();
  if (error.side === 'server') {
    if (shedCodes.has(error.code)) metadata.set(shedHeader, error.code);
    if (error.retryAfterMs !== undefined) metadata.set(pushbackKey, String(Math.ceil(error.retryAfterMs)));
  }
  return { code: error.grpcStatus, details: error.message, metadata };
}

/** `NOT_FOUND` for 5; the number itself for what is no status. */
export function statusName(code: number): string {
  return status[code] ?? String(code);
}
