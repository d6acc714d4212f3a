import type { Outcome } from '../core/outcome.js';

/** The statuses of gRPC, by number. */
const names = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const;

/** The statuses that are a fault of the server; the others are answers that the client may have asked for. */
const faults: ReadonlySet<string> = new Set([
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
]);

/** Resets of HTTP/2 that say which status is meant; gRPC's specification of its protocol, "HTTP2 Transport Mapping". */
const ofResets: Readonly<Record<number, string>> = {
  7: 'UNAVAILABLE',
  8: 'CANCELLED',
  11: 'RESOURCE_EXHAUSTED',
  12: 'PERMISSION_DENIED',
};

/** Headers of HTTP/2, as Node gives them. */
export type Http2Headers = Readonly<Record<string, string | readonly string[] | number | undefined>>;

/**
 * How a stream of gRPC ended.
 *
 * @param told - headers and trailers that may have the status
 * @param reset - code of the reset; 0 for none
 */
export function grpcStatus(told: readonly (Http2Headers | undefined)[], reset: number | undefined): string {
  for (const headers of told) {
    const value = headers?.['grpc-status'];
    // A number that nobody knows is a name that a stranger may choose.
    if (value !== undefined) return names[Number(value)] ?? 'UNKNOWN';
  }
  return ofResets[reset ?? 0] ?? 'UNKNOWN';
}

/** What a status says of whoever answered with it; the same as governed calls are judged by. */
export function outcomeOf(status: string): Outcome {
  if (status === 'CANCELLED') return 'ignored';
  if (status === 'RESOURCE_EXHAUSTED') return 'overload';
  return faults.has(status) && status !== 'UNIMPLEMENTED' ? 'failure' : 'success';
}

/** Whether a status is an error of the server. */
export function isServerFault(status: string): boolean {
  return faults.has(status);
}

const contentType = /^application\/grpc(?:$|[+;\s])/i;

/** Whether a request is one of gRPC. That of gRPC-Web is not: its status stands in its body, which nobody reads here. */
export function isGrpc(headers: Http2Headers): boolean {
  return contentType.test(String(headers['content-type'] ?? ''));
}
