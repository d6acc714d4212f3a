import { type CallOptions, checkCallOptions, type GovernedInit } from './call-options.js';
import type { HttpRequest } from './request.js';

/** What a caller of fetch asked for, in parts. */
export interface FetchInput {
  /** What goes to the service. */
  readonly request: HttpRequest;
  /** How the caller gives up. */
  readonly signal: AbortSignal | undefined;
  /** What to do with redirects. */
  readonly redirect: RequestInit['redirect'];
  /** How this call is governed. */
  readonly options: CallOptions | undefined;
}

/** No service has this name; it stands for "the service" while a relative URL is resolved. */
const nowhere = 'service.invalid';

/** Paths that mean something else once they are resolved: dots, backslashes, fragments, blanks. */
const unsettled = /[\\#\s]|\/(?:\.|%2e)/i;

/**
 * The path of a URL that belongs to a service: a relative one, or an absolute one whose host is the service's name.
 *
 * @throws TypeError for any other
 */
export function pathOf(url: string, service: string): string {
  if (url.charCodeAt(0) === 47 && url.charCodeAt(1) !== 47 && !unsettled.test(url)) return url;
  const { protocol, host, username, password, pathname, search } = new URL(url, `http://${nowhere}`);
  if (username || password) throw new TypeError(`fetch of ${service}: a URL must not hold credentials`);
  if (host !== nowhere && (host !== service.toLowerCase() || (protocol !== 'http:' && protocol !== 'https:')))
    throw new TypeError(
      `fetch of ${service}: "${url}" is elsewhere; give a relative URL, or http://${service}/…, or use fetch itself`,
    );
  return pathname + search;
}

/** As fetch does: these are the same in any case, others are not. */
const anyCase: ReadonlySet<string> = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT']);

function methodOf(method: string | undefined): string {
  if (method === undefined || method === 'GET') return 'GET';
  const upper = String(method).toUpperCase();
  return anyCase.has(upper) ? upper : String(method);
}

/** Members of a Request that can be given on, with what they are when nobody set them. */
const unset = {
  cache: 'default',
  credentials: 'same-origin',
  integrity: '',
  keepalive: false,
  mode: 'cors',
  redirect: 'follow',
  referrer: 'about:client',
  referrerPolicy: '',
} as const;

/** All that fetch reads from `init`, and what is ours. */
const members = [
  ...Object.keys(unset),
  'body',
  'dispatcher',
  'duplex',
  'headers',
  'keelson',
  'method',
  'priority',
  'signal',
  'window',
] as const;

/**
 * `init` as an object that can be copied. Fetch reads members wherever they stand, so a Request or an object of a class
 * will do as `init`: a copy of its own properties alone would lose method and body without a word.
 */
function laidOut(init: GovernedInit | undefined): GovernedInit | undefined {
  if (init === undefined || init === null) return undefined;
  if (typeof init !== 'object' && typeof init !== 'function')
    throw new TypeError(`fetch: init must be an object, got ${String(init)}`);
  const prototype = Object.getPrototypeOf(init) as object | null;
  if (prototype === Object.prototype || prototype === null) return init;
  const out: Record<string, unknown> = { ...init };
  for (const name of members) {
    const value = (init as Record<string, unknown>)[name];
    if (value !== undefined) out[name] = value;
  }
  return out;
}

/** A Request laid out as init; what `init` says goes first. */
function spread(request: Request, init: GovernedInit | undefined): GovernedInit {
  const from: Record<string, unknown> = {
    method: request.method,
    headers: request.headers,
    signal: request.signal,
  };
  for (const [name, usual] of Object.entries(unset)) {
    const value = (request as unknown as Record<string, unknown>)[name];
    if (value !== undefined && value !== usual) from[name] = value;
  }
  const own = Object.entries(init ?? {}).filter(([, value]) => value !== undefined);
  const all = Object.assign(from, Object.fromEntries(own)) as GovernedInit & { duplex?: string };
  if (init?.body !== undefined && init.body !== null) return all;
  if (request.bodyUsed) throw new TypeError('fetch: the body of this Request has already been used');
  // The platform shows the body as a stream, whatever it was made of.
  if (request.body !== null) Object.assign(all, { body: request.body, duplex: 'half' });
  return all;
}

function isRequest(input: string | URL | Request): input is Request {
  return typeof input === 'object' && typeof (input as Request).url === 'string';
}

/**
 * Headers that can be read but once would be gone at the second attempt; what is none is refused as fetch does, before
 * ours are put among them and make something of it.
 */
function settled(init: RequestInit): RequestInit {
  const { headers } = init;
  if (headers === undefined || headers === null) return init;
  if (typeof headers !== 'object')
    throw new TypeError(`fetch: init.headers must be headers, pairs or a record, got a ${typeof headers}`);
  const once = typeof (headers as { next?: unknown }).next === 'function';
  if (!once && !Array.isArray(headers)) return init;
  const pairs = [...(headers as Iterable<[string, string]>)];
  if (pairs.some((pair) => typeof pair !== 'object' || [...pair].length !== 2))
    throw new TypeError('fetch: init.headers must consist of pairs of name and value');
  return once ? { ...init, headers: pairs } : init;
}

const redirects: ReadonlySet<unknown> = new Set([undefined, 'follow', 'manual', 'error']);

/** What is decided here never comes to fetch, which would refuse it. */
function refuseBad({ redirect, signal }: GovernedInit): void {
  if (!redirects.has(redirect))
    throw new TypeError(`fetch: init.redirect must be follow, manual or error, got ${String(redirect)}`);
  if (signal !== undefined && signal !== null && typeof signal.addEventListener !== 'function')
    throw new TypeError('fetch: init.signal must be an AbortSignal');
}

/** What is ours is of no interest to fetch. */
function ungoverned({ keelson: _ours, ...init }: GovernedInit): RequestInit {
  return init;
}

/**
 * Takes apart what fetch was called with, by the rules of fetch: `init` goes before the Request.
 *
 * @throws TypeError for a URL of another origin, and for call options that there are not; RangeError for one out of range
 */
export function fetchInput(
  input: string | URL | Request,
  init: GovernedInit | undefined,
  service: string,
): FetchInput {
  const url = isRequest(input) ? input.url : String(input);
  const path = pathOf(url, service);
  const own = laidOut(init);
  const all = isRequest(input) ? spread(input, own) : own;
  if (all === undefined) {
    return {
      request: { method: 'GET', path, init: undefined },
      signal: undefined,
      redirect: undefined,
      options: undefined,
    };
  }
  refuseBad(all);
  const { keelson } = all;
  return {
    request: {
      method: methodOf(all.method),
      path,
      init: settled(keelson === undefined ? all : ungoverned(all)),
    },
    signal: all.signal ?? undefined,
    redirect: all.redirect,
    options: keelson === undefined ? undefined : checkCallOptions('keelson', keelson),
  };
}
