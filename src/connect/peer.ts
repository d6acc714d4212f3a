import { type ContextKey, type ContextValues, createContextValues } from '@connectrpc/connect';
import { type ServedCall, servedCall } from '../http/served-call.js';

/** Who is at the other end of a connection. */
export interface Peer {
  /** An IP address; `undefined` if it is not known. */
  readonly address: string | undefined;
  /** Its port. */
  readonly port: number | undefined;
}

/** What of a request of a server of Node, or of a framework on it, tells who sends it. */
export interface NodeRequest {
  /** The connection. */
  readonly socket?: { readonly remoteAddress?: string | undefined; readonly remotePort?: number | undefined };
  /** Node's own, where a framework has put its own before it. */
  readonly raw?: object;
}

interface Arrival extends Peer {
  readonly served: ServedCall | undefined;
}

const arrivalKey: ContextKey<Arrival | undefined> = {
  id: Symbol.for('keelson.connect.arrival'),
  defaultValue: undefined,
};

/**
 * Lets {@link serverInterceptor} know who sends a request, and whether a listener of the app governs it already: give it as
 * `contextValues` to `connectNodeAdapter`, or to the plugins for Express and Fastify. Interceptors see nothing of the
 * connection by themselves; without it nobody is trusted by `trust: 'private'`.
 *
 * @example
 * ```ts
 * const contextValues = (req: NodeServerRequest) => peerContext(req).set(userKey, userOf(req));
 * ```
 */
export function peerContext(req: NodeRequest): ContextValues {
  const { remoteAddress: address, remotePort: port } = req.socket ?? {};
  return createContextValues().set(arrivalKey, { address, port, served: servedCall(req.raw ?? req) });
}

/** Who sends a request, if that was told. */
export function arrivalOf(values: ContextValues): Arrival | undefined {
  return values.get(arrivalKey);
}
