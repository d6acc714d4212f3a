import type { Attributes, Context } from '@opentelemetry/api';
import type { ExponentialPoint, HistogramPoint, MetricData, NumberPoint } from './metric-data.js';
import { nextTurn } from './next-turn.js';
import {
  ExponentialSeries,
  GaugeSeries,
  HistogramSeries,
  LevelSeries,
  type RecordedSeries,
  SumSeries,
} from './recorded-series.js';
import { SeriesTable } from './series-table.js';
import {
  fitting,
  type Moment,
  numberData,
  overflowNotice,
  type Stream,
  type StreamHost,
  type StreamIdentity,
  type StreamSettings,
  seriesPerTurn,
} from './stream.js';

/** Copies one series after the other. */
interface Gathering<S> {
  add(series: S, atMs: number): void;
  data(): MetricData;
}

/** What the kinds of instruments differ in. */
interface Shape<S extends RecordedSeries> {
  /** Whether values below zero count. */
  readonly signed: boolean;
  /** Whether there is a place for exemplars in what comes out. */
  readonly exemplars: boolean;
  make(attributes: Attributes, startMs: number): S;
  gather(identity: StreamIdentity): Gathering<S>;
}

function gatherNumbers(identity: StreamIdentity): Gathering<SumSeries | GaugeSeries> {
  const points: NumberPoint[] = [];
  return {
    add: (series, atMs) => void points.push(series.read(atMs)),
    data: () => numberData(identity, points),
  };
}

function baseOf({ scope, name, description, unit }: StreamIdentity) {
  return { scope, name, description, unit };
}

function gatherHistogram(identity: StreamIdentity): Gathering<HistogramSeries> {
  const points: HistogramPoint[] = [];
  return {
    add: (series, atMs) => void points.push(series.read(atMs)),
    data: () => ({ ...baseOf(identity), kind: 'histogram', points }),
  };
}

function gatherExponential(identity: StreamIdentity): Gathering<ExponentialSeries> {
  const points: ExponentialPoint[] = [];
  const explicit: HistogramPoint[] = [];
  return {
    add(series, atMs) {
      const read = series.read(atMs);
      explicit.push(read);
      points.push(series.readExponential(read));
    },
    data: () => ({ ...baseOf(identity), kind: 'exponential', points, explicit }),
  };
}

const sumShape: Shape<SumSeries> = {
  signed: false,
  exemplars: true,
  make: (attributes, startMs) => new SumSeries(attributes, startMs),
  gather: gatherNumbers,
};
const levelShape: Shape<SumSeries> = {
  signed: true,
  exemplars: false,
  make: (attributes, startMs) => new LevelSeries(attributes, startMs),
  gather: gatherNumbers,
};
const gaugeShape: Shape<GaugeSeries> = {
  signed: true,
  exemplars: false,
  make: (attributes, startMs) => new GaugeSeries(attributes, startMs),
  gather: gatherNumbers,
};
const histogramShape = (bounds: readonly number[]): Shape<HistogramSeries> => ({
  signed: false,
  exemplars: true,
  make: (attributes, startMs) => new HistogramSeries(attributes, startMs, bounds),
  gather: gatherHistogram,
});
const exponentialShape = (bounds: readonly number[], maxBuckets: number): Shape<ExponentialSeries> => ({
  signed: false,
  exemplars: true,
  make: (attributes, startMs) => new ExponentialSeries(attributes, startMs, { bounds, maxBuckets }),
  gather: gatherExponential,
});

/** What an instrument has measured that is told values as they come. */
export interface RecordedStream extends Stream {
  /**
   * Never throws. Costs one walk over the attributes, and allocates nothing but for a new series or an exemplar.
   *
   * @param within - what it was measured in; the active context when left out
   */
  record(value: number, attributes: Attributes | undefined, within: Context | undefined): void;
}

class Recorded<S extends RecordedSeries> implements RecordedStream {
  readonly identity: StreamIdentity;
  private readonly table: SeriesTable<S>;

  constructor(
    private readonly settings: StreamSettings,
    private readonly host: StreamHost,
    private readonly shape: Shape<S>,
  ) {
    this.identity = settings.identity;
    const { limit, keeps } = settings;
    this.table = new SeriesTable<S>({
      limit,
      keeps,
      make: (attributes) => shape.make(attributes, host.clock.wallMs()),
      onOverflow: () => host.notices.once(overflowNotice(this.identity, limit)),
    });
  }

  record(given: number, attributes: Attributes | undefined, within: Context | undefined): void {
    const { shape, host } = this;
    const value = fitting(given, this.identity, host);
    if (value === undefined) return;
    if (value < 0 && !shape.signed) {
      host.lose('negative', `${this.identity.name} was given a value below zero; it is left out`);
      return;
    }
    host.recorded++;
    const series = this.table.of(attributes);
    const slot = series.record(value);
    if (!shape.exemplars) return;
    const span = host.exemplars.spanFor(series.slots[slot], within);
    if (span !== undefined) series.slots[slot] = host.exemplars.take(span, { value, attributes, series });
  }

  async snapshot({ atMs, now }: Moment): Promise<MetricData | undefined> {
    const { table, settings } = this;
    if (settings.idleMs < Number.POSITIVE_INFINITY) table.drop((series) => this.isIdle(series, now));
    if (table.size === 0) return undefined;
    const gathering = this.shape.gather(this.identity);
    let count = 0;
    for (const series of table) {
      if (count++ % seriesPerTurn === seriesPerTurn - 1) await nextTurn();
      gathering.add(series, atMs);
    }
    return gathering.data();
  }

  /** To be asked once in each round: what was touched since then is not idle. */
  private isIdle(series: S, now: number): boolean {
    // A clock that stepped back has to catch up from where it is.
    if (series.touched || series.touchedAt > now) {
      series.touched = false;
      series.touchedAt = now;
      return false;
    }
    return series.forgettable && now - series.touchedAt > this.settings.idleMs;
  }
}

/** Makes the stream of a counter, an up-down counter, a gauge or a histogram. */
export function recordedStream(settings: StreamSettings, host: StreamHost): RecordedStream {
  const { bounds, maxBuckets, identity } = settings;
  switch (identity.kind) {
    case 'histogram':
      return maxBuckets > 0
        ? new Recorded(settings, host, exponentialShape(bounds, maxBuckets))
        : new Recorded(settings, host, histogramShape(bounds));
    case 'gauge':
      return new Recorded(settings, host, gaugeShape);
    case 'up-down counter':
      return new Recorded(settings, host, levelShape);
    default:
      return new Recorded(settings, host, sumShape);
  }
}
