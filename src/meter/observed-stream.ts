import type { Attributes } from '@opentelemetry/api';
import type { MetricData, NumberPoint } from './metric-data.js';
import { nextTurn } from './next-turn.js';
import { type Series, SeriesTable } from './series-table.js';
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

/** One attribute set of an instrument that is asked. */
export class ObservedSeries implements Series {
  touched = true;
  value = 0;
  /** The round in which it was observed last. */
  round = -1;

  /** @param adds - several attribute sets come here, and what they bring is added up */
  constructor(
    readonly attributes: Attributes,
    readonly adds: boolean,
  ) {}
}

/**
 * What an instrument has measured that is asked when somebody collects: only what was observed in that round. A series that
 * is not observed again is forgotten.
 */
export class ObservedStream implements Stream {
  readonly identity: StreamIdentity;
  private readonly table: SeriesTable<ObservedSeries>;
  private startMs: number;
  private round = 0;

  constructor(
    { identity, limit, keeps }: StreamSettings,
    private readonly host: StreamHost,
  ) {
    this.identity = identity;
    this.startMs = host.clock.wallMs();
    const sums = !identity.kind.endsWith('gauge');
    this.table = new SeriesTable<ObservedSeries>({
      limit,
      keeps,
      make: (attributes, overflow) =>
        new ObservedSeries(attributes, sums && (overflow || keeps !== undefined)),
      onOverflow: () => host.notices.once(overflowNotice(identity, limit)),
    });
  }

  /** Finds where a value goes, at once: users change the object with the attributes and pass it again. */
  seriesOf(attributes: Attributes | undefined): ObservedSeries {
    return this.table.of(attributes);
  }

  observe(series: ObservedSeries, given: number): void {
    const value = fitting(given, this.identity, this.host);
    if (value === undefined) return;
    const sum = series.adds && series.round === this.round ? series.value + value : value;
    if (Number.isFinite(sum)) series.value = sum;
    series.round = this.round;
  }

  async snapshot({ atMs }: Moment): Promise<MetricData | undefined> {
    const { table, round } = this;
    this.round++;
    table.drop((series) => series.round !== round);
    if (table.size === 0) return undefined;
    // As of recorded series: a wall clock that was set back moves the beginning once.
    if (this.startMs > atMs) this.startMs = atMs;
    const { startMs } = this;
    const points: NumberPoint[] = [];
    for (const { attributes, value } of table) {
      if (points.length % seriesPerTurn === seriesPerTurn - 1) await nextTurn();
      points.push({ attributes, startMs, atMs, value, exemplars: [] });
    }
    return numberData(this.identity, points);
  }
}
