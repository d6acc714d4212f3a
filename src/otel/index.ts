/**
 * Telemetry as a whole: spans and metrics made, chosen, sent and shown, on `@opentelemetry/api` alone. For a service that has
 * no SDK of OpenTelemetry; beside one that it has, `keelson/telemetry` is enough.
 *
 * @module
 */
export type { Exposed } from '../meter/exposition.js';
export type { MetersOptions } from '../meter/meters.js';
export type {
  DistributionPoint,
  Exemplar,
  ExponentialBuckets,
  ExponentialData,
  ExponentialPoint,
  GaugeData,
  HistogramData,
  HistogramPoint,
  MetricData,
  MetricScope,
  NumberPoint,
  Point,
  SumData,
} from '../meter/metric-data.js';
export type { HistogramKind, MetricViewOptions } from '../meter/metric-view.js';
export type { GrpcClientLike, GrpcErrorLike, GrpcLike, GrpcMetadataLike } from '../otlp/grpc-like.js';
export type { HeaderSource } from '../otlp/header-source.js';
export { type LinkOptions, linkDefaults, type OtlpProtocol } from '../otlp/link-options.js';
export { type MetricExporterOptions, metricExporterDefaults } from '../otlp/metric-exporter-options.js';
export { type SpanExporterOptions, spanExporterDefaults } from '../otlp/span-exporter-options.js';
export { type SpoolOptions, spoolDefaults } from '../otlp/spool-options.js';
export type { SpanExporterShape } from '../tracer/exporter-sink.js';
export type { SpanProcessorShape } from '../tracer/processor-sink.js';
export type { Resource } from '../tracer/resource.js';
export {
  type RemoteParents,
  type RouteSampling,
  type SamplingMode,
  type SamplingOptions,
  samplingDefaults,
} from '../tracer/sampling.js';
export { type SpanLimitsOptions, spanLimitsDefaults } from '../tracer/span-limits.js';
export { type MetricsHandler, type MetricsText, metricsHandler } from './metrics-handler.js';
export type { Losses } from './span-pipeline.js';
export { type SignalState, type Telemetry, telemetry } from './telemetry.js';
export {
  type TelemetryMetricsOptions,
  type TelemetryOptions,
  telemetryDefaults,
  telemetryMetricsDefaults,
} from './telemetry-options.js';
