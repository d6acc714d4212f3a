/**
 * The canonical order of client and server stacks, and the app that makes them.
 *
 * @module
 */

export { createBus } from '../core/events.js';
export type {
  Edge,
  EdgeDuration,
  EdgeEnd,
  EdgeName,
  EdgePeriod,
  EdgeSide,
} from '../topology/edge.js';
export type { MessageSizes } from '../topology/edge-call.js';
export type { EdgeMessage } from '../topology/message-edges.js';
export {
  type ClientEdgesOptions,
  type ServerEdgesOptions,
  type Topology,
  type TopologyOptions,
  topology,
  topologyDefaults,
} from '../topology/topology.js';
export { type App, type ClientSnapshot, createApp } from './app.js';
export type { AppClientOptions, HttpClient, HttpClientOptions } from './app-client.js';
export { type AppEdgesOptions, appEdgesDefaults, type ProcessedMessage } from './app-edges.js';
export { type AppListenerOptions, appListenerDefaults } from './app-listener.js';
export { type AppOptions, appDefaults } from './app-options.js';
export type { AppServerOptions, FaultTeller } from './app-server.js';
export { type Announce, type ClientPolicy, clientPolicyDefaults } from './client-policy.js';
export { type ClientStack, type ClientStackOptions, clientStack } from './client-stack.js';
export type { ClientTries } from './client-tries.js';
export type { FetchClientOptions } from './fetch-client.js';
export type { AppState, LifecycleHooks } from './lifecycle.js';
export type { Bound, Place, Servable } from './servable.js';
export type { AppLoad } from './server-load.js';
export type { QueueChoice } from './server-queue.js';
export {
  type ServerPolicy,
  type ServerStackOptions,
  serverPolicyDefaults,
  serverStack,
} from './server-stack.js';
export type { Served } from './servers.js';
export { type AnyHttpServer, type ServeOptions, serveDefaults } from './serving.js';
