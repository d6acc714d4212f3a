import { ConnectError, encodeBinaryHeader } from '@connectrpc/connect';
import { loadHeader } from '../http/load-header.js';
import type { LoadTeller } from '../http/load-teller.js';
import { orcaBinaryHeader, orcaRequestHeader } from '../http/orca.js';

/** What a response has of headers and trailers. */
interface Told {
  readonly header: Headers;
  readonly trailer: Headers;
}

/**
 * Puts into an answer what the server tells of its load: our own in the headers, where it is known before a stream has
 * ended; ORCA in the trailers, where gRPC looks for it. What a callee of the server said of itself gives way.
 *
 * @param request - the headers of the request, by which a client may ask for ORCA
 */
export function tellLoad({ header, trailer }: Told, teller: LoadTeller, request: Headers): void {
  const text = teller.text();
  if (text === undefined) withholdLoad({ header, trailer });
  else header.set(loadHeader, text);
  const report = teller.binary(request.has(orcaRequestHeader));
  if (report !== undefined && report.length > 0 && !trailer.has(orcaBinaryHeader))
    trailer.set(orcaBinaryHeader, encodeBinaryHeader(report));
}

/** Takes out of an answer what a callee of the server said of itself, where the server itself says nothing. */
export function withholdLoad({ header, trailer }: Told): void {
  header.delete(loadHeader);
  trailer.delete(loadHeader);
}

/**
 * {@link tellLoad} for an error as it goes out, in a copy: a handler may throw one error several times. One without a code is
 * connect's to judge.
 */
export function errorWithLoad(error: unknown, teller: LoadTeller, request: Headers): unknown {
  if (!(error instanceof ConnectError)) return error;
  const { rawMessage, code, metadata, cause, details } = error;
  const told = new ConnectError(rawMessage, code, metadata, undefined, cause);
  told.details = details;
  tellLoad({ header: told.metadata, trailer: told.metadata }, teller, request);
  return told;
}
