/**
 * Sends spans and metrics to a collector by OTLP: encoded as they come, in bounded memory, again when they did not arrive,
 * over the disk when the collector is away for long. What is lost is counted and said. Not a subpath of the package.
 *
 * @module
 */
export { ByteWriter, nanosOf, overBound, secondsOf } from './byte-writer.js';
export { Departures } from './departures.js';
export type { Encoding, EncodingName, Half, Reply, Shelves } from './encoding.js';
export { encodings } from './encodings.js';
export type { GrpcClientLike, GrpcErrorLike, GrpcLike, GrpcMetadataLike } from './grpc-like.js';
export { grpcSender } from './grpc-sender.js';
export type { HeaderSource } from './header-source.js';
export { httpSender } from './http-sender.js';
export {
  type LinkOptions,
  type LinkSettings,
  linkDefaults,
  type OtlpProtocol,
  signalUrl,
} from './link-options.js';
export { type LossCounts, Losses, type LossReason } from './losses.js';
export { type MetricExporter, type MetricExporterStats, metricExporter } from './metric-exporter.js';
export { type MetricExporterOptions, metricExporterDefaults } from './metric-exporter-options.js';
export { OpenBatch } from './open-batch.js';
export { Outage, type OutageInit } from './outage.js';
export { Pace, type RetryPace } from './pace.js';
export { quietly } from './quietly.js';
export { retryAfterMs } from './retry-after.js';
export type { Answer, Consignment, Sender, Signal } from './sender.js';
export { type SpanExporter, type SpanExporterStats, type SpoolStats, spanExporter } from './span-exporter.js';
export { type SpanExporterOptions, spanExporterDefaults } from './span-exporter-options.js';
export { Spool, type SpoolInit } from './spool.js';
export { claimName, parseSpoolName, spoolName } from './spool-name.js';
export { type SpoolOptions, spoolDefaults } from './spool-options.js';
