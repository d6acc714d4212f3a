/** Makes, chooses and hands on spans. Not a subpath of the package. */
export { contextStorage } from './context-storage.js';
export type {
  AttributePart,
  Composite,
  EndedSpan,
  InstrumentationScope,
  SpanEvent,
  SpanLink,
} from './ended-span.js';
export {
  type ExporterLoss,
  type ExporterSinkOptions,
  exporterSink,
  exporterSinkDefaults,
  type SpanExporterShape,
} from './exporter-sink.js';
export { processorSink, type SpanProcessorShape } from './processor-sink.js';
export { type Resource, resource } from './resource.js';
export {
  type RemoteParents,
  type RouteSampling,
  type SamplingMode,
  type SamplingOptions,
  type SamplingSettings,
  samplingDefaults,
} from './sampling.js';
export { type SpanLimits, type SpanLimitsOptions, spanLimitsDefaults } from './span-limits.js';
export type { SpanSink } from './span-sink.js';
export type { TracerCounts } from './tracer-counts.js';
export { type Tracers, type TracersOptions, tracers, tracersDefaults } from './tracers.js';
