/**
 * Tracing, metrics and log correlation on `@opentelemetry/api`: right without an SDK, with one, and beside
 * auto-instrumentation. No SDK, exporter or loader is needed or brought along.
 *
 * `@opentelemetry/api` is a peer: have one copy of it, of the minor version that your SDK was made for. Two copies whose
 * minors do not fit (1.10 here, SDK 2.x registered through 1.9) make a silent no-op of everything: `apiMismatch` tells.
 *
 * @module
 */
export {
  type AccessLog,
  type AccessLogOptions,
  type AccessWire,
  accessLog,
  accessLogDefaults,
} from './access-log.js';
export { annotate, isRecorded } from './annotate.js';
export { apiMismatch } from './api-mismatch.js';
export { admitted } from './arrival.js';
export { type AttemptMetricsOptions, attemptMetrics, attemptMetricsDefaults } from './attempt-metrics.js';
export { type AttemptTracingOptions, attemptTracing, attemptTracingDefaults } from './attempt-tracing.js';
export { type BaggageMember, formatBaggage, parseBaggage } from './baggage.js';
export { type TraceIds, traceOf } from './correlation.js';
export { edgeMetrics } from './edge-metrics.js';
export {
  type GovernanceGaugesOptions,
  type GovernanceState,
  governanceGauges,
  governanceGaugesDefaults,
  type ShownClient,
  type ShownEndpoint,
  type ShownLimiter,
} from './governance-gauges.js';
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
export type { LineStream } from './line-sink.js';
export { type LoadGauges, loadMetrics, type ShownLoad } from './load-metrics.js';
export { type LogFields, logFields } from './log-fields.js';
export {
  type ConsoleLike,
  pinoMixin,
  traceConsole,
  type WinstonFormat,
  winstonFormat,
} from './loggers.js';
export type { Messaging, MessagingOperation } from './messaging.js';
export { type MetricsOptions, metrics, metricsDefaults } from './metrics.js';
export type { Observation } from './observed.js';
export {
  type ExtractFormat,
  type InjectFormat,
  type PropagationOptions,
  propagationDefaults,
} from './propagation-options.js';
export { propagator } from './propagator.js';
export { type ResumeOptions, resume, resumeDefaults } from './resume.js';
export { runtimeMetrics } from './runtime-metrics.js';
export type { AccessFacts, InstrumentDescription, Semantics } from './semantics.js';
export { callerNames, callerOf, serviceNameHeader } from './service-name.js';
export type { ShownEdge } from './shown-edge.js';
export { span, type WorkSpanKind, type WorkSpanOptions } from './span.js';
export { type SpanToken, spanToken } from './span-token.js';
export { type Standing, standing } from './standing.js';
export type { TraceHeader } from './trace-header.js';
export { formatTraceparent, parseTraceparent, type TraceParent } from './trace-parent.js';
export { parseTracestate } from './trace-state.js';
export {
  type ClientTracingOptions,
  clientTracingDefaults,
  type ServerTracingOptions,
  serverTracingDefaults,
  tracing,
} from './tracing.js';
export { type TracingOptions, tracingDefaults } from './tracing-options.js';
