import type { Attributes } from '@opentelemetry/api';
import { type AttributeSet, attributeSet } from './attribute-set.js';
import { SeriesIndex } from './series-index.js';

/** What a table needs of a series. */
export interface Series {
  /** Something was recorded since this was last set to `false`. */
  touched: boolean;
}

/** How a table is made. */
export interface SeriesTableSettings<S extends Series> {
  /** Most series, that of the overflow included. */
  readonly limit: number;
  /** Names of attributes that count; all when left out. */
  readonly keeps: ReadonlySet<string> | undefined;
  /** @param overflow - it takes what comes when the table is full */
  readonly make: (attributes: Attributes, overflow: boolean) => S;
  /** Told when the series of the overflow comes into being. */
  readonly onOverflow: () => void;
}

const overflowAttributes: Attributes = Object.freeze({ 'otel.metric.overflow': true });

/** Paths that are remembered, in attributes: several orders of several attributes for each series. */
const stepsPerSeries = 16;

/**
 * The series of one instrument, at most so many. What comes when it is full is recorded in one series more, whose only
 * attribute is `otel.metric.overflow`: sums stay right, and the memory stays bounded.
 *
 * Source: OpenTelemetry specification, metrics SDK, "Cardinality limits".
 */
export class SeriesTable<S extends Series> {
  private readonly all = new Map<string, S>();
  private readonly index: SeriesIndex<S>;
  private overflow: S | undefined = undefined;

  constructor(private readonly settings: SeriesTableSettings<S>) {
    this.index = new SeriesIndex(settings.limit * stepsPerSeries, settings.keeps);
  }

  get size(): number {
    return this.all.size + (this.overflow === undefined ? 0 : 1);
  }

  /** The series of these attributes, which counts as touched. Never throws. */
  of(attributes: Attributes | undefined): S {
    let series: S | undefined;
    try {
      series = this.index.find(attributes);
    } catch {
      // A getter that throws; whoever reads one after the other leaves it out.
    }
    series ??= this.seek(attributeSet(attributes, this.settings.keeps));
    series.touched = true;
    return series;
  }

  *[Symbol.iterator](): Generator<S> {
    yield* this.all.values();
    if (this.overflow !== undefined) yield this.overflow;
  }

  /** Forgets series; what is recorded of their attributes later begins anew. */
  drop(isOver: (series: S) => boolean): void {
    let dropped = false;
    for (const [key, series] of this.all) {
      if (!isOver(series)) continue;
      this.all.delete(key);
      dropped = true;
    }
    if (this.overflow !== undefined && isOver(this.overflow)) this.overflow = undefined;
    if (dropped) this.index.clear();
  }

  private seek({ key, attributes, path }: AttributeSet): S {
    let series = this.all.get(key);
    if (series === undefined) {
      const { limit, make, onOverflow } = this.settings;
      if (this.all.size >= limit - 1) {
        if (this.overflow === undefined) {
          this.overflow = make(overflowAttributes, true);
          onOverflow();
        }
        return this.overflow;
      }
      series = make(attributes(), false);
      this.all.set(key, series);
    }
    if (path !== undefined) this.index.remember(path, series);
    return series;
  }
}
