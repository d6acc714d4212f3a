/**
 * gRPC clients and servers of `@grpc/grpc-js` and nice-grpc under the policies of an app.
 *
 * @module
 */
export { callOf } from './call-of.js';
export { grpcClientProtocol } from './client-protocol.js';
export { grpcClientSemantics } from './client-semantics.js';
export { type GrpcExchange, type GrpcMethod, grpcServerProtocol, type ServerStatus } from './exchange.js';
export {
  type GovernedHandler,
  type GovernedHandlers,
  governHandlers,
  type UntypedHandler,
} from './govern-handlers.js';
export {
  type GovernedContext,
  governMiddleware,
  type NiceCall,
  type NiceMiddleware,
} from './govern-middleware.js';
export {
  type GovernServerOptions,
  governServer,
  governServerDefaults,
  type ServerSource,
} from './govern-server.js';
export {
  type ClientSource,
  type GovernedChannelOptions,
  governedChannel,
  governedChannelDefaults,
} from './governed-channel.js';
export {
  type ClientClass,
  type GovernedClientOptions,
  governedClient,
  governedClientDefaults,
} from './governed-client.js';
export type { GrpcAnswer } from './grpc-answer.js';
export type { GrpcRequest } from './grpc-request.js';
export { grpcServer, type NiceServer } from './grpc-server.js';
export {
  type AddHealthOptions,
  addHealth,
  addHealthDefaults,
  type HealthImplementation,
  type HealthSource,
  healthImplementation,
} from './health.js';
export { type HealthMethod, healthDefinition } from './health-definition.js';
export { type HealthRequest, type HealthResponse, servingStatus } from './health-message.js';
export type { IdempotentMethods } from './idempotent.js';
export type { MethodLike, ServiceLike } from './method-table.js';
export { type NiceHealth, niceHealth } from './nice-health.js';
export type { GrpcTrust } from './peer.js';
export { grpcServerSemantics } from './server-semantics.js';
export type { AuthContext, CallCredentials, WireCall } from './wire-call.js';
export { type GrpcWireOptions, grpcWireDefaults } from './wire-options.js';
