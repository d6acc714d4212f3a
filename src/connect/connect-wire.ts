import type { Transport } from '@connectrpc/connect';
import type { Call } from '../core/call.js';
import type { Endpoint } from '../core/endpoint.js';
import { refusal } from '../core/errors.js';
import type { Connection, Wire } from '../core/wire.js';
import { connectClientProtocol } from './client-protocol.js';
import type { ConnectAnswer } from './connect-answer.js';
import { type ConnectRequest, outgoing, UnaryOutgoing } from './connect-request.js';
import { StreamAttempt } from './stream-attempt.js';
import { UnaryAttempt } from './unary-attempt.js';

/** A transport of one endpoint. */
export interface EndpointTransport extends Transport {
  /** Lets go of its connections. Called once, when the endpoint has left and its last call ended. */
  close?(): void;
}

/** Makes the transport of one endpoint. */
export type TransportFactory = (baseUrl: string, endpoint: Endpoint) => EndpointTransport;

/** How addresses of each scheme are written for transports, which know those of HTTP. */
const plain: Readonly<Record<string, string>> = { 'h2c:': 'http:', 'grpc:': 'http:', 'grpcs:': 'https:' };

/** `http://10.0.0.7:9000` for `grpc://10.0.0.7:9000`. */
function baseUrlOf({ url }: Endpoint): string {
  const { protocol, host } = new URL(url);
  return `${plain[protocol] ?? protocol}//${host}`;
}

function transportOf(factory: TransportFactory, endpoint: Endpoint): EndpointTransport {
  const made = factory(baseUrlOf(endpoint), endpoint);
  if (typeof made?.unary === 'function' && typeof made.stream === 'function') return made;
  throw refusal('BAD_ENDPOINT', `${endpoint.url}: governedTransport.transport made no transport`, {
    side: 'client',
  });
}

function connectionOf(transport: EndpointTransport): Connection<ConnectRequest, ConnectAnswer> {
  const send = (given: ConnectRequest, call: Call): Promise<ConnectAnswer> =>
    new Promise((resolve, reject) => {
      const request = outgoing(given);
      if (call.cancel.aborted) {
        reject(call.cancel.reason);
        return;
      }
      const settling = { resolve, reject };
      if (request instanceof UnaryOutgoing) new UnaryAttempt(transport, request, call, settling).start();
      else new StreamAttempt(transport, request, call, settling).start();
    });
  const close = (): void => {
    try {
      transport.close?.();
    } catch {
      // Called where the last call of the endpoint ends, which has no part in it.
    }
  };
  return { handler: send, close };
}

/** Carries calls by transports of Connect, one for each endpoint. */
export function connectWire(
  factory: TransportFactory,
  schemes: readonly string[],
): Wire<ConnectRequest, ConnectAnswer> {
  return {
    protocol: connectClientProtocol,
    schemes,
    tellsDeadline: true,
    connect: (endpoint) => connectionOf(transportOf(factory, endpoint)),
  };
}
