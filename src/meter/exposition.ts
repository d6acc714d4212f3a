import type { Attributes } from '@opentelemetry/api';
import { resolveOptions, wrongKind } from '../core/options.js';
import { familiesOf } from './families.js';
import { familyText } from './family-text.js';
import { LabelWriter, labelsOf } from './labels.js';
import type { MetricData } from './metric-data.js';
import { nextTurn } from './next-turn.js';
import { Notices } from './notices.js';
import type { TextFormat } from './prometheus-text.js';
import { contentTypes, textFormat } from './text-format.js';

/** Options of {@link exposition}. */
export interface ExpositionOptions {
  /**
   * What the metrics are of: attributes of the resource, shown as `target_info`. Changes nothing when it is empty.
   *
   * @defaultValue `{}`
   */
  readonly resource?: Attributes | undefined;
  /**
   * Whether each point shows the name and version of the meter that it is of. Without it, points of several meters that
   * have the same name and labels are added up.
   *
   * @defaultValue `true`
   */
  readonly scopeLabels?: boolean | undefined;
  /**
   * Whether counters and histograms tell since when they count, as `_created` lines; OpenMetrics only. Prometheus before
   * version 3 takes them for metrics of their own.
   *
   * @defaultValue `false`
   */
  readonly created?: boolean | undefined;
}

/** Defaults of {@link ExpositionOptions}. */
export const expositionDefaults = { resource: {}, scopeLabels: true, created: false } as const;

/** An answer to who scrapes. */
export interface Exposed {
  readonly contentType: string;
  readonly body: string;
}

/** The same, written while it is taken. */
export interface ExposedSlices {
  readonly contentType: string;
  /** Pieces of the body, some of them empty; each takes some tenths of a millisecond. To be taken once. */
  readonly slices: Iterable<string>;
}

/** Writes metrics as text. */
export interface Exposition {
  /**
   * Writes piece by piece, for who sends piece by piece.
   *
   * @param accept - header of the request
   */
  slices(data: readonly MetricData[], accept?: string): ExposedSlices;
  /**
   * Writes at once, with pauses in which other work runs.
   *
   * @param accept - header of the request
   */
  render(data: readonly MetricData[], accept?: string): Promise<Exposed>;
}

function targetInfo(resource: Attributes, format: TextFormat): string {
  const labels = labelsOf(resource);
  if (labels === '') return '';
  const [title, type] = format === 'openmetrics' ? ['target', 'info'] : ['target_info', 'gauge'];
  return `# HELP ${title} Target metadata\n# TYPE ${title} ${type}\ntarget_info{${labels}} 1\n`;
}

/**
 * Writes metrics as Prometheus text 0.0.4 or OpenMetrics 1.0, as a client accepts.
 *
 * Use it for a `/metrics` endpoint. Not for a collector of OpenTelemetry: OTLP says more.
 *
 * Names are those of the compatibility rules: units and `_total` as suffixes, dots as underscores, scopes as labels.
 * Exponential histograms are shown by the explicit bounds that they count as well: text has no others. Exemplars are in
 * OpenMetrics only. Instruments that contradict each other in text are left out and told of through `diag`.
 *
 * @throws TypeError for options that cannot be understood
 * @example
 * ```ts
 * const text = exposition({ resource: { 'service.name': 'orders' } });
 * const { contentType, body } = await text.render(await provider.collect(), request.headers.accept);
 * ```
 *
 * Source: OpenTelemetry specification, "Prometheus and OpenMetrics compatibility"; OpenMetrics 1.0. An exemplar is shown at
 * its own bucket only: OpenMetrics forbids what that page asks for, to repeat it at higher ones.
 */
export function exposition(options: ExpositionOptions = {}): Exposition {
  type Settings = { readonly resource: Attributes; readonly scopeLabels: boolean; readonly created: boolean };
  const { resource, scopeLabels, created } = resolveOptions<Settings>(
    'exposition',
    expositionDefaults,
    options,
  );
  if (typeof resource !== 'object' || resource === null)
    throw wrongKind('exposition.resource', 'the attributes of a resource', resource);
  const labels = new LabelWriter(scopeLabels);
  const notices = new Notices();

  function* written(data: readonly MetricData[], format: TextFormat): Generator<string> {
    yield targetInfo(resource, format);
    for (const family of familiesOf(data, notices)) yield* familyText(family, { format, labels, created });
    if (format === 'openmetrics') yield '# EOF\n';
  }

  function slices(data: readonly MetricData[], accept?: string): ExposedSlices {
    const format = textFormat(accept);
    return { contentType: contentTypes[format], slices: written(data, format) };
  }

  async function render(data: readonly MetricData[], accept?: string): Promise<Exposed> {
    const { contentType, slices: pieces } = slices(data, accept);
    let body = '';
    let paused = 0;
    for (const piece of pieces) {
      body += piece;
      // Small families do not each deserve a pause.
      if (piece !== '' && body.length - paused < pauseLength) continue;
      paused = body.length;
      await nextTurn();
    }
    return { contentType, body };
  }

  return { slices, render };
}

/** Characters that are written between two pauses. */
const pauseLength = 32_768;
