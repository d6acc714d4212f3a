import type { Call } from '../core/call.js';
import { uncancelled } from '../core/cancel.js';
import type { Endpoint } from '../core/endpoint.js';
import { tiedCopies } from '../core/tied-copy.js';
import type { Connection } from '../core/wire.js';
import { globalDispatcher, type Sockets } from './dispatcher.js';
import { originOf } from './origin.js';
import { mergeHeaders } from './outgoing-headers.js';
import type { TlsOptions } from './pool.js';
import { httpProtocol } from './protocol.js';
import type { BodyIdle } from './relay.js';
import type { HttpRequest } from './request.js';
import { watchBody } from './response-body.js';
import { isDispatcher, sendTied, tiedCopyOf } from './tied-wire.js';
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
  /** Whether what sends can be listened to, and asked things beside a call that is under way. */
  readonly hears: boolean;
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

type Send = typeof globalThis.fetch;

/** One call, and what carries it unless that is left to the platform. */
interface Outgoing {
  readonly request: HttpRequest;
  readonly call: Call;
  readonly dispatcher: object | undefined;
}

/** Sends a call that is tied, as the copy that it is, if what carries it can be listened to. */
function sendCopy(send: Send, origin: string, { request, call, dispatcher }: Outgoing): Promise<Response> {
  const { path } = request;
  const init = (): RequestInit => initOf(request, call, dispatcher) as RequestInit;
  const copy = tiedCopyOf(call);
  const ear = (request.init as WireInit | undefined)?.dispatcher ?? dispatcher ?? globalDispatcher();
  if (copy === undefined || !isDispatcher(ear)) return send(origin + path, init());
  return sendTied(copy, call, { origin, path, send, dispatcher: ear, init });
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
  const { idle, hears } = connecting;
  return {
    handler: (request, call) => {
      try {
        const dispatcher = sockets.current();
        const send = ungoverned(connecting.fetch ?? globalThis.fetch);
        const sent =
          hears && call.values.get(tiedCopies) !== undefined
            ? sendCopy(send, origin, { request, call, dispatcher })
            : send(origin + request.path, initOf(request, call, dispatcher) as RequestInit);
        return sent.then((response) => {
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
