/**
 * What most services need: the app, `governedFetch`, stacks, the in-process registry, errors.
 *
 * @module
 */
export { type Call, nameOperation } from './core/call.js';
export { currentCall } from './core/current.js';
export { GovernanceError, isGovernanceError, type RejectionCode } from './core/errors.js';
export type { Bus, GovernanceEvents } from './core/events.js';
export type { Handler, Middleware } from './core/handler.js';
export { memory } from './discovery/memory.js';
export type { Registry } from './discovery/registrar.js';
export type { CallOptions, GovernedFetch, GovernedInit } from './http/call-options.js';
export { type GovernedFetchOptions, governedFetch } from './http/governed-fetch.js';
export type { HttpListener } from './http/listener.js';
export type { HttpRequest } from './http/request.js';
export type { HttpHandler } from './http/serve-handler.js';
export { type App, type ClientSnapshot, createApp } from './stack/app.js';
export type { AppEdgesOptions, ProcessedMessage } from './stack/app-edges.js';
export type { AppListenerOptions } from './stack/app-listener.js';
export type { AppOptions } from './stack/app-options.js';
export type { AppServerOptions, FaultTeller } from './stack/app-server.js';
export type { ClientPolicy } from './stack/client-policy.js';
export { type ClientStack, type ClientStackOptions, clientStack } from './stack/client-stack.js';
export type { FetchClientOptions } from './stack/fetch-client.js';
export type { AppLoad } from './stack/server-load.js';
export { type ServerPolicy, type ServerStackOptions, serverStack } from './stack/server-stack.js';
export type { Served } from './stack/servers.js';
export type { ServeOptions } from './stack/serving.js';
export type {
  Edge,
  EdgeDuration,
  EdgeEnd,
  EdgeName,
  EdgePeriod,
  EdgeSide,
} from './topology/edge.js';
export type { EdgeMessage } from './topology/message-edges.js';
