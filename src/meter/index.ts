/**
 * Measuring: instruments of OpenTelemetry's metrics api, what they have measured, and the text that Prometheus scrapes.
 *
 * @module
 */
export { durationBounds, plainBounds } from './bounds.js';
export { ExponentialHistogram, type ExponentialSnapshot } from './exponential-histogram.js';
export {
  type Exposed,
  type ExposedSlices,
  type Exposition,
  type ExpositionOptions,
  exposition,
  expositionDefaults,
} from './exposition.js';
export { type Meters, type MetersOptions, meters, metersDefaults } from './meters.js';
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
  MetricSource,
  NumberPoint,
  Point,
  SumData,
} from './metric-data.js';
export { type HistogramKind, type MetricViewOptions, metricViewDefaults } from './metric-view.js';
