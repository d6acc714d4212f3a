import type { Call } from '../core/call.js';
import { uncancelled } from '../core/cancel.js';
import type { Endpoint } from '../core/endpoint.js';
import { GovernanceError } from '../core/errors.js';
import type { Connection } from '../core/wire.js';
import type { Sockets } from './dispatcher.js';
import { mergeHeaders } from './outgoing-headers.js';
import type { TlsOptions } from './pool.js';
import { httpProtocol } from './protocol.js';
import type { BodyIdle } from './relay.js';
import type { HttpRequest } from './request.js';
import { watchBody } from './response-body.js';

/** How endpoints are connected. */
export interface Connecting {
  /** `undefined` for the platform's, looked up for each request: it may be replaced at any time. */
  readonly fetch: typeof globalThis.fetch | undefined;
  readonly tls: TlsOptions | undefined;
  readonly idle: BodyIdle | undefined;
  /** Makes the connections of one endpoint. */
  readonly sockets: () => Sockets;
  /** Whoever sends knows itself which names it trusts. */
  readonly anyHost: boolean;
}

type WireInit = Omit<RequestInit, 'dispatcher'> & { dispatcher?: object };

const ipAddress = /^(\[.*\]|\d{1,3}(\.\d{1,3}){3})$/;

/** The origin of an address. What cannot be called is refused here, in words, and not by a handshake that fails. */
function originOf({ url }: Endpoint, { tls, anyHost }: Connecting): string {
  const refuse = (why: string): never => {
    throw new GovernanceError('BAD_ENDPOINT', `cannot call ${url}: ${why}`);
  };
  if (!URL.canParse(url)) return refuse('it is no URL');
  const parsed = new URL(url);
  const { protocol, pathname, search, hash, username, password } = parsed;
  if (protocol !== 'http:' && protocol !== 'https:')
    return refuse(`the scheme ${protocol}// is not for HTTP`);
  if (username || password) return refuse('an address must not hold credentials');
  if (pathname !== '/' || search || hash) return refuse('an address has no path; put it into the requests');
  if (protocol === 'https:' && ipAddress.test(parsed.hostname) && tls?.servername === undefined && !anyHost)
    return refuse('its certificate cannot be checked against an IP address; set tls.servername');
  return parsed.origin;
}

/** `undefined` where nothing stands: some implementations of fetch take a member that is there as given. */
function initOf(request: HttpRequest, call: Call, dispatcher: object | undefined): WireInit {
  const { init, method } = request;
  const out: WireInit =
    init === undefined ? { method, redirect: 'manual' } : { ...init, method, redirect: 'manual' };
  const headers = mergeHeaders(init?.headers, call.headers);
  if (headers !== undefined) out.headers = headers;
  // A signal costs fetch a listener and us a controller: only for calls that may end early.
  if (call.cancel !== uncancelled) out.signal = call.cancel.signal;
  else if (init?.signal !== undefined) delete out.signal;
  // One that the caller chose for this request goes first.
  if (dispatcher !== undefined && out.dispatcher === undefined) out.dispatcher = dispatcher;
  return out;
}

/**
 * Makes the end of an endpoint's stack: sends to its origin, adds the headers of the call, watches the body of the
 * response. Redirects come back as they are.
 *
 * @throws GovernanceError `BAD_ENDPOINT` when the endpoint cannot be called as configured
 */
export function connectTo(endpoint: Endpoint, connecting: Connecting): Connection<HttpRequest, Response> {
  const origin = originOf(endpoint, connecting);
  const sockets = connecting.sockets();
  const { idle } = connecting;
  return {
    handler: (request, call) => {
      try {
        const init = initOf(request, call, sockets.current());
        const send = connecting.fetch ?? globalThis.fetch;
        return send(origin + request.path, init as RequestInit).then((response) => {
          watchBody(response, classify, { cancel: call.cancel, idle });
          return response;
        });
      } catch (error) {
        return Promise.reject(error);
      }
    },
    close: () => sockets.close(),
  };
}

const classify = (response: Response) => httpProtocol.classify(response, undefined);
