import { isReplayable } from './body-kind.js';
import { pairsOf } from './outgoing-headers.js';
import type { HttpRequest } from './request.js';

/** As many as fetch follows. */
export const maxRedirects = 20;

const statuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** @throws TypeError for what a middleware answered that forgot to return what it got */
export function checkResponse(response: unknown): void {
  if (response === undefined || response === null)
    throw new TypeError(
      `a middleware answered ${response} in place of a response; it has to return what next() gives`,
    );
}

/** Whether a response sends its caller on. */
export function isRedirect(response: Response): boolean {
  checkResponse(response);
  return response.status >= 301 && statuses.has(response.status) && response.headers.get('location') !== null;
}

/** The error that fetch makes of what it cannot do. */
export function networkError(why: string): TypeError {
  return new TypeError('fetch failed', { cause: new Error(why) });
}

/** Headers that tell of a body. */
const ofBody: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-type',
]);

function without(init: RequestInit, drop: (name: string) => boolean): RequestInit {
  const { headers, ...rest } = init;
  const kept: [string, string][] = [];
  for (const [name, value] of pairsOf(headers)) if (!drop(name.toLowerCase())) kept.push([name, value]);
  return { ...rest, headers: kept };
}

function becomesGet(status: number, method: string): boolean {
  if (status === 303) return method !== 'GET' && method !== 'HEAD';
  return (status === 301 || status === 302) && method === 'POST';
}

/**
 * What to send to where a redirect leads; the path is the old one.
 *
 * @throws TypeError when a body has to be sent again that cannot be
 *
 * Source: Fetch standard, "HTTP-redirect fetch", steps 11 to 14.
 */
export function redirected(request: HttpRequest, status: number): HttpRequest {
  const { init, method } = request;
  if (becomesGet(status, method)) {
    if (init === undefined) return { ...request, method: 'GET' };
    const { body: _body, ...bodiless } = init;
    return { ...request, method: 'GET', init: without(bodiless, (name) => ofBody.has(name)) };
  }
  if (status !== 303 && !isReplayable(init?.body)) {
    throw networkError('the redirect asks for the body again, and a stream cannot be sent twice');
  }
  return request;
}

/** Headers that are for one origin alone, and those by which services of one system know each other. */
const ofOrigin: ReadonlySet<string> = new Set([
  'authorization',
  'baggage',
  'cookie',
  'host',
  'proxy-authorization',
  'traceparent',
  'tracestate',
]);

/** Whether a header is not for another origin, to which a redirect may lead. */
export function isForOrigin(name: string): boolean {
  return ofOrigin.has(name) || name.startsWith('x-md-') || name.startsWith('x-keelson-');
}

/** What may be told to another origin: nothing of who the caller is, nothing of the call. */
export function foreignInit({ init, method }: HttpRequest, signal: AbortSignal | undefined): RequestInit {
  const { signal: _signal, ...rest } = without(init ?? {}, isForOrigin);
  return { ...rest, method, redirect: 'manual', ...(signal === undefined ? undefined : { signal }) };
}
