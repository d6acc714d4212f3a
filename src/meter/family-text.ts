import { bucketOf } from './bounds.js';
import type { Family } from './families.js';
import { isHistogram, joinedPoint, type TextPoint } from './joined-point.js';
import { type LabelWriter, labelsOf } from './labels.js';
import type { Exemplar, HistogramPoint, MetricData, NumberPoint } from './metric-data.js';
import { boundText, escapedHelp, secondsText, type TextFormat } from './prometheus-text.js';

/** How families are written. */
export interface FamilyTextSettings {
  readonly format: TextFormat;
  readonly labels: LabelWriter;
  /** Whether counters and histograms tell since when they count; OpenMetrics only. */
  readonly created: boolean;
}

/** Characters that are written without a pause; some tenths of a millisecond. */
const sliceLength = 32_768;
/** Points whose labels are written without a pause. */
const pointsPerSlice = 256;
/** Most characters of the labels of an exemplar, names and values together; OpenMetrics, "Exemplars". */
const maxExemplarLength = 128;

function pointsOf(data: MetricData): readonly TextPoint[] {
  return data.kind === 'exponential' ? data.explicit : data.points;
}

/** Labels that would be there twice. */
const takenByIds = /(^|,)(trace_id|span_id)="/;

/** Labels of an exemplar; the attributes that the series lacks as far as they fit, all or none. */
function exemplarLabels({ traceId, spanId, attributes }: Exemplar): string {
  const ids = `trace_id="${traceId}",span_id="${spanId}"`;
  const rest = labelsOf(attributes);
  if (rest === '' || takenByIds.test(rest)) return ids;
  // The length of what is written, punctuation included, is never less than what counts.
  const length = [...`trace_id${traceId}span_id${spanId}${rest}`].length;
  return length <= maxExemplarLength ? `${ids},${rest}` : ids;
}

/** Writes the lines of one family. */
class FamilyText {
  /** As often as there are different bounds: hardly more than once. */
  private readonly boundTexts = new Map<readonly number[], readonly string[]>();

  constructor(
    private readonly family: Family,
    private readonly settings: FamilyTextSettings,
  ) {}

  get open(): boolean {
    return this.settings.format === 'openmetrics';
  }

  head(): string {
    const { name, type, unit, help } = this.family;
    const title = type === 'counter' && !this.open ? `${name}_total` : name;
    let head = '';
    if (help !== '') head += `# HELP ${title} ${escapedHelp(help, this.settings.format)}\n`;
    head += `# TYPE ${title} ${type}\n`;
    if (this.open && unit !== '') head += `# UNIT ${title} ${unit}\n`;
    return head;
  }

  point(labels: string, point: TextPoint): string {
    return isHistogram(point) ? this.histogram(labels, point) : this.number(labels, point);
  }

  private number(labels: string, point: NumberPoint): string {
    const { name, type } = this.family;
    if (type !== 'counter') return `${name}${braced(labels)} ${point.value}\n`;
    const exemplar = this.exemplar(largest(point.exemplars));
    return `${name}_total${braced(labels)} ${point.value}${exemplar}\n${this.created(labels, point)}`;
  }

  private histogram(labels: string, point: HistogramPoint): string {
    const { name } = this.family;
    const bounds = this.textsOf(point.bounds);
    const exemplars = this.byBucket(point);
    const before = labels === '' ? `${name}_bucket{le="` : `${name}_bucket{${labels},le="`;
    let lines = '';
    let total = 0;
    for (const [bucket, bound] of bounds.entries()) {
      total += point.counts[bucket] as number;
      lines += `${before}${bound}"} ${total}${exemplars === undefined ? '' : this.exemplar(exemplars[bucket])}\n`;
    }
    const own = braced(labels);
    // Below zero a sum may fall, which reads as a restart.
    if (point.min >= 0) lines += `${name}_sum${own} ${point.sum}\n`;
    return `${lines}${name}_count${own} ${point.count}\n${this.created(labels, point)}`;
  }

  private created(labels: string, { startMs }: TextPoint): string {
    if (!this.open || !this.settings.created) return '';
    return `${this.family.name}_created${braced(labels)} ${secondsText(startMs)}\n`;
  }

  private exemplar(exemplar: Exemplar | undefined): string {
    if (exemplar === undefined || !this.open) return '';
    return ` # {${exemplarLabels(exemplar)}} ${exemplar.value} ${secondsText(exemplar.atMs)}`;
  }

  /** The largest exemplar of each bucket: the format has room for one. */
  private byBucket({ bounds, exemplars }: HistogramPoint): (Exemplar | undefined)[] | undefined {
    if (!this.open || exemplars.length === 0) return undefined;
    const slots: (Exemplar | undefined)[] = new Array(bounds.length + 1).fill(undefined);
    for (const exemplar of exemplars) {
      const bucket = bucketOf(bounds, exemplar.value);
      const held = slots[bucket];
      if (held === undefined || exemplar.value > held.value) slots[bucket] = exemplar;
    }
    return slots;
  }

  private textsOf(bounds: readonly number[]): readonly string[] {
    let texts = this.boundTexts.get(bounds);
    if (texts === undefined) {
      texts = [...bounds.map((bound) => boundText(bound, this.settings.format)), '+Inf'];
      this.boundTexts.set(bounds, texts);
    }
    return texts;
  }
}

function braced(labels: string): string {
  return labels === '' ? '' : `{${labels}}`;
}

function largest(exemplars: readonly Exemplar[]): Exemplar | undefined {
  let found: Exemplar | undefined;
  for (const exemplar of exemplars) if (found === undefined || exemplar.value > found.value) found = exemplar;
  return found;
}

/**
 * Writes a family in pieces of some ten thousand characters; some may be empty. Who takes them may pause between any
 * two.
 */
export function* familyText(family: Family, settings: FamilyTextSettings): Generator<string> {
  const byLabels = new Map<string, TextPoint>();
  const adds = family.streams.every(({ kind }) => kind !== 'gauge');
  let seen = 0;
  for (const stream of family.streams) {
    for (const point of pointsOf(stream)) {
      const labels = settings.labels.of(point.attributes, stream.scope);
      const before = byLabels.get(labels);
      byLabels.set(labels, before === undefined ? point : joinedPoint(before, point, adds));
      if (++seen % pointsPerSlice === 0) yield '';
    }
  }
  const text = new FamilyText(family, settings);
  let slice = text.head();
  for (const [labels, point] of byLabels) {
    slice += text.point(labels, point);
    if (slice.length < sliceLength) continue;
    yield slice;
    slice = '';
  }
  yield slice;
}
