/**
 * Tracing, metrics and log correlation on `@opentelemetry/api`: right without an SDK, with one, and beside
 * auto-instrumentation. No SDK, exporter or loader is needed or brought along.
 *
 * `@opentelemetry/api` is a peer: have one copy of it, of the minor version that your SDK was made for. Two copies whose
 * minors do not fit (1.10 here, SDK 2.x registered through 1.9) make a silent no-op of everything: `apiMismatch` tells.
 *
 * @module
 */
export { apiMismatch } from './api-mismatch.js';
export { type AttemptMetricsOptions, attemptMetrics, attemptMetricsDefaults } from './attempt-metrics.js';
export { type AttemptTracingOptions, attemptTracing, attemptTracingDefaults } from './attempt-tracing.js';
export { type BaggageMember, formatBaggage, parseBaggage } from './baggage.js';
export { type TraceIds, traceOf } from './correlation.js';
export {
  type GovernanceMetricsOptions,
  governanceMetrics,
  governanceMetricsDefaults,
} from './governance-metrics.js';
export {
  type HttpClientRequest,
  type HttpClientResponse,
  httpClientSemantics,
} from './http-client-semantics.js';
export { type HttpServerExchange, httpServerSemantics } from './http-server-semantics.js';
export { type LoadGauges, loadMetrics, type ShownLoad } from './load-metrics.js';
export { type MetricsOptions, metrics, metricsDefaults } from './metrics.js';
export type { InstrumentDescription, Semantics } from './semantics.js';
export { callerOf, serviceNameHeader } from './service-name.js';
export { formatTraceparent, parseTraceparent, type TraceParent } from './trace-parent.js';
export { parseTracestate } from './trace-state.js';
export {
  type ClientTracingOptions,
  clientTracingDefaults,
  type ServerTracingOptions,
  tracing,
} from './tracing.js';
export { type TracingOptions, tracingDefaults } from './tracing-options.js';
