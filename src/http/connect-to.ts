import type { Call } from '../core/call.js';
import { uncancelled } from '../core/cancel.js';
import type { Endpoint } from '../core/endpoint.js';
import type { Connection } from '../core/wire.js';
import type { Sockets } from './dispatcher.js';
import { originOf } from './origin.js';
import { mergeHeaders } from './outgoing-headers.js';
import type { TlsOptions } from './pool.js';
import { httpProtocol } from './protocol.js';
import type { BodyIdle } from './relay.js';
import type { HttpRequest } from './request.js';
import { watchBody } from './response-body.js';
import { ungoverned } from './ungoverned.js';

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
        const send = ungoverned(connecting.fetch ?? globalThis.fetch);
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
