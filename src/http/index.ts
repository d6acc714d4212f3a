/**
 * HTTP, both ends: clients with the signature of `fetch`, servers on `node:http`.
 *
 * @module
 */
export { abandonedBodies } from './body-end.js';
export type { CallOptions, GovernedFetch, GovernedInit } from './call-options.js';
export type { UndiciLike } from './dispatcher.js';
export { exchangeProtocol, type HttpExchange } from './exchange.js';
export { connectFetch, type FetchWireOptions, fetchWire, fetchWireDefaults } from './fetch-wire.js';
export { type FrameworkChain, type FrameworkEntry, frameworkEntry } from './framework-entry.js';
export { type GovernedFetchOptions, governedFetch } from './governed-fetch.js';
export { isPrivateAddress, type Trust } from './inbound.js';
export {
  type Aside,
  type HttpListener,
  type ListenerOptions,
  listenerDefaults,
  toListener,
} from './listener.js';
export { formatLoad, loadHeader, parseLoad } from './load-header.js';
export {
  type LoadFormat,
  type LoadSource,
  type ReportLoad,
  type ReportLoadOptions,
  reportLoadDefaults,
} from './load-teller.js';
export {
  formatOrca,
  loadOfOrca,
  type OrcaFormat,
  orcaBinaryHeader,
  orcaHeader,
  orcaOf,
  orcaRequestHeader,
  parseOrca,
} from './orca.js';
export { decodeOrca, encodeOrca, type OrcaReport } from './orca-message.js';
export { type PoolOptions, poolDefaults, type TlsOptions, tlsDefaults } from './pool.js';
export { priorityHeader } from './priority.js';
export { httpProtocol } from './protocol.js';
export { recover } from './recover.js';
export type { RefusedRequest, RejectEarly } from './reject-early.js';
export { replyWithError, shedHeader } from './reply.js';
export type { HttpRequest } from './request.js';
export { parseRetryAfter, retryAfterCapMs } from './retry-after.js';
export { type RouteTable, routeTable } from './routes.js';
export {
  type HttpHandler,
  type ServeHandlerOptions,
  serveHandler,
  serveHandlerDefaults,
} from './serve-handler.js';
export { type ServedCall, servedCall } from './served-call.js';
export { type ToFetchOptions, toFetch, toFetchDefaults } from './to-fetch.js';
