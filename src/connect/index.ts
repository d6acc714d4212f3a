/**
 * Clients and servers of Connect (connect-es), over whichever of its protocols, under the policies of an app.
 *
 * @module
 */
export { callOf } from './call-of.js';
export { connectClientProtocol } from './client-protocol.js';
export { connectClientSemantics } from './client-semantics.js';
export type { ConnectAnswer } from './connect-answer.js';
export { type ConnectExchange, connectServerProtocol } from './connect-exchange.js';
export type { ConnectRequest } from './connect-request.js';
export type { EndpointTransport, TransportFactory } from './connect-wire.js';
export { governance, type RpcOptions } from './governance-key.js';
export {
  type ClientSource,
  type GovernedTransportOptions,
  governedTransport,
  governedTransportDefaults,
} from './governed-transport.js';
export type { IdempotentMethods } from './idempotent.js';
export { type NodeRequest, type Peer, peerContext } from './peer.js';
export type { RpcMethod, StreamMethod, UnaryMethod } from './rpc-method.js';
export {
  type ServerInterceptorOptions,
  type ServerSource,
  serverInterceptor,
  serverInterceptorDefaults,
} from './server-interceptor.js';
export { connectServerSemantics } from './server-semantics.js';
export type { ConnectTrust } from './trust.js';
