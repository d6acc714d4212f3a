import { httpProtocol } from './protocol.js';
import { foreignInit, isRedirect, maxRedirects, networkError, redirected } from './redirect.js';
import type { HttpRequest } from './request.js';
import { markRedirected } from './response-body.js';

/** What following redirects needs. */
export interface Following {
  /** Logical name of the service. */
  readonly service: string;
  /** Makes a governed call. */
  readonly send: (request: HttpRequest) => Promise<Response>;
  /** For other origins; the platform's if `undefined`. */
  readonly fetch: typeof globalThis.fetch | undefined;
  /** How the caller gives up. */
  readonly signal: AbortSignal | undefined;
}

function targetOf(location: string, from: string): URL {
  let target: URL;
  try {
    target = new URL(location, from);
  } catch (cause) {
    throw new TypeError('fetch failed', { cause });
  }
  if (target.protocol !== 'http:' && target.protocol !== 'https:')
    throw networkError('URL scheme must be a HTTP(S) scheme');
  return target;
}

/**
 * Follows a redirect by hand, until there is none. Servers name themselves by the address that they were called at, or by
 * the service's name: both mean the service, not that one instance. Once it has led elsewhere nothing is governed any more.
 */
export async function follow(first: Response, request: HttpRequest, following: Following): Promise<Response> {
  const { service, send, fetch = globalThis.fetch, signal } = following;
  let response = first;
  let next = request;
  let elsewhere = false;
  for (let count = 1; isRedirect(response); count++) {
    const from = new URL(response.url || `http://${service}${next.path}`);
    httpProtocol.discard?.(response);
    if (count > maxRedirects) throw networkError('redirect count exceeded');
    const target = targetOf(response.headers.get('location') as string, from.href);
    elsewhere ||= target.origin !== from.origin && target.host !== service.toLowerCase();
    next = redirected({ ...next, path: target.pathname + target.search }, response.status);
    response = elsewhere ? await fetch(target, foreignInit(next, signal)) : await send(next);
  }
  return markRedirected(response);
}
