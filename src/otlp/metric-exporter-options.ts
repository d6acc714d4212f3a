import { type Clock, systemClock } from '../core/clock.js';
import { resolveOptions, wrongKind } from '../core/options.js';
import { type Random, systemRandom } from '../core/random.js';
import type { Resource } from '../tracer/resource.js';
import { checkLink, type LinkOptions, linkBounds, linkDefaults } from './link-options.js';
import { processWarning } from './span-exporter-options.js';

/** Options of `metricExporter`, which `telemetry()` makes. */
export interface MetricExporterOptions extends LinkOptions {
  /** Whose metrics they are. */
  readonly resource: Resource;
  /**
   * Time between two pushes; milliseconds, above 0.
   *
   * @defaultValue `60000`
   */
  readonly intervalMs?: number | undefined;
  /**
   * Upper end of the first wait after a failure; milliseconds, above 0. It doubles with each further one, and the wait is
   * anything up to it; a push is tried again until the next one is due, which says all that this one says.
   *
   * @defaultValue `500`
   */
  readonly retryFirstMs?: number | undefined;
  /**
   * Upper end of all waits; milliseconds, above 0.
   *
   * @defaultValue `10000`
   */
  readonly retryMaxMs?: number | undefined;
  /**
   * Takes one line each interval in which points were lost, and what a collector says of those that it has taken.
   *
   * @defaultValue `processWarning`, which prints to the standard error output
   */
  readonly warn?: ((message: string) => void) | undefined;
  /**
   * Least time between two such lines of one sort; milliseconds, above 0.
   *
   * @defaultValue `60000`
   */
  readonly warnIntervalMs?: number | undefined;
  /**
   * Tells the time, and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
  /**
   * Spreads waits.
   *
   * @defaultValue `systemRandom`
   */
  readonly random?: Random | undefined;
}

/** Defaults of {@link MetricExporterOptions}. */
export const metricExporterDefaults = {
  ...linkDefaults,
  resource: undefined as Resource | undefined,
  intervalMs: 60_000,
  retryFirstMs: 500,
  retryMaxMs: 10_000,
  /** Emits a `warning` of the process with the code `KEELSON_TELEMETRY`, which Node prints. */
  warn: processWarning as (message: string) => void,
  warnIntervalMs: 60_000,
  clock: systemClock as Clock,
  random: systemRandom as Random,
};

/** Ranges of {@link MetricExporterOptions}. */
export const metricExporterBounds = {
  ...linkBounds,
  intervalMs: { above: 0 },
  retryFirstMs: { above: 0 },
  retryMaxMs: { above: 0 },
  warnIntervalMs: { above: 0 },
} as const;

/** {@link MetricExporterOptions}, checked. */
export interface MetricExporterSettings extends Omit<typeof metricExporterDefaults, 'resource'> {
  readonly resource: Resource;
}

/** @throws TypeError or RangeError, naming the field */
export function metricExporterSettings(options: MetricExporterOptions): MetricExporterSettings {
  const owner = 'metricExporter';
  const settings = resolveOptions(owner, metricExporterDefaults, options, metricExporterBounds);
  checkLink(owner, settings);
  const { resource } = settings;
  if (typeof resource?.attributes !== 'object' || resource.attributes === null)
    throw wrongKind(`${owner}.resource`, 'a resource', resource);
  return { ...settings, resource };
}
