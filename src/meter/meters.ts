import {
  type Counter,
  createNoopMeter,
  type Meter,
  type MeterOptions,
  type MeterProvider,
} from '@opentelemetry/api';
import { type Clock, systemClock } from '../core/clock.js';
import { aboutOption } from '../core/in-name-of.js';
import { checkChoice, resolveOptions } from '../core/options.js';
import { ExemplarPicker } from './exemplars.js';
import { InstrumentSet } from './instrument-set.js';
import type { MetricData, MetricScope, MetricSource } from './metric-data.js';
import {
  type HistogramKind,
  idleBound,
  type MetricViewOptions,
  metricView,
  seriesLimitBound,
} from './metric-view.js';
import { Notices } from './notices.js';
import { Callbacks } from './observations.js';
import { ScopedMeter } from './scoped-meter.js';
import type { LossReason, Moment, StreamHost } from './stream.js';

/** How a process measures. */
export interface MetersOptions {
  /**
   * Most series of each instrument, that of the overflow included; 2 to 1 000 000. More are more memory, and more for
   * who collects. What comes beyond is added up in one series with the attribute `otel.metric.overflow`.
   *
   * @defaultValue `2000`
   */
  readonly seriesLimit?: number | undefined;
  /**
   * Most instruments, and most meters; 1 to 100 000. What is made beyond measures nothing.
   *
   * @defaultValue `2000`
   */
  readonly instrumentLimit?: number | undefined;
  /**
   * Forgets series that nothing came to for that long; milliseconds, above 0. Seen when somebody collects, so less than
   * the time between two collections counts as that. Up-down counters are forgotten at zero only. No effect on
   * observable instruments, which show what was observed and nothing else.
   *
   * @defaultValue `Infinity`
   */
  readonly idleMs?: number | undefined;
  /**
   * How histograms count, unless a view says otherwise: between explicit bounds, or between powers of a base as well,
   * which OTLP carries and text formats do not. Exponential ones take about twice the time and memory.
   *
   * @defaultValue `'explicit'`
   */
  readonly histogram?: HistogramKind | undefined;
  /**
   * Keeps some measurements of counters and histograms with the sampled span that they were made in.
   *
   * @defaultValue `true`
   */
  readonly exemplars?: boolean | undefined;
  /**
   * How long a collection waits for callbacks that give a promise; milliseconds, above 0 to 60 000. Longer waits for
   * slower ones, and holds up who collects. No effect on callbacks that give none.
   *
   * @defaultValue `3000`
   */
  readonly callbackTimeoutMs?: number | undefined;
  /**
   * What is measured otherwise than instruments ask for. Of several that fit, the first counts.
   *
   * @defaultValue `[]`
   */
  readonly views?: readonly MetricViewOptions[] | undefined;
  /**
   * Tells the time.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link MetersOptions}. */
export const metersDefaults = {
  seriesLimit: 2000,
  instrumentLimit: 2000,
  idleMs: Number.POSITIVE_INFINITY,
  histogram: 'explicit',
  exemplars: true,
  callbackTimeoutMs: 3000,
  views: [],
  clock: systemClock,
} as const;

/** A MeterProvider of OpenTelemetry's api, and where its metrics come from. */
export interface Meters extends MeterProvider, MetricSource {
  /** Measurements so far, of all instruments but observable ones. Whoever sees that it stands still has them all. */
  readonly recorded: number;
}

type Settings = { readonly [Field in keyof MetersOptions]-?: NonNullable<MetersOptions[Field]> };

function settingsOf(options: MetersOptions): Settings {
  const settings = resolveOptions<Settings>('meters', metersDefaults, options, {
    seriesLimit: seriesLimitBound,
    instrumentLimit: { min: 1, max: 100_000, integer: true },
    idleMs: idleBound,
    callbackTimeoutMs: { above: 0, max: 60_000 },
  });
  checkChoice('meters.histogram', settings.histogram, ['explicit', 'exponential']);
  if (!Array.isArray(settings.views))
    throw aboutOption(new TypeError('meters.views must be a list of views'));
  return settings;
}

/** Whom notices and losses of all instruments go to. */
class Host implements StreamHost {
  recorded = 0;
  readonly notices = new Notices();
  readonly exemplars: ExemplarPicker;
  private lost: Counter | undefined = undefined;
  meters: MeterProvider | undefined = undefined;

  constructor(
    readonly clock: Clock,
    exemplars: boolean,
  ) {
    this.exemplars = new ExemplarPicker(clock, exemplars);
  }

  lose(reason: LossReason, notice: string): void {
    this.notices.once(notice);
    this.lost ??= this.meters?.getMeter('keelson').createCounter('keelson.telemetry.measurements.lost', {
      description: 'Measurements and callbacks of instruments that were left out, by reason.',
      unit: '{measurement}',
    });
    this.lost?.add(1, { reason });
  }
}

class Registry implements Meters {
  private readonly host: Host;
  private readonly callbacks: Callbacks;
  private readonly instruments: InstrumentSet;
  private readonly byScope = new Map<string, Meter>();
  private collecting: Promise<readonly MetricData[]> | undefined = undefined;

  constructor(private readonly settings: Settings) {
    const { clock, exemplars, callbackTimeoutMs, views } = settings;
    this.host = new Host(clock, exemplars);
    this.host.meters = this;
    this.callbacks = new Callbacks(this.host, callbackTimeoutMs);
    const checked = views.map((view, at) => metricView(`meters.views[${at}]`, view));
    this.instruments = new InstrumentSet({ ...settings, views: checked }, this.host, this.callbacks);
  }

  get recorded(): number {
    return this.host.recorded;
  }

  getMeter(name: string, version?: string, options?: MeterOptions): Meter {
    const scope: MetricScope = {
      name: String(name ?? ''),
      version: version ?? '',
      schemaUrl: options?.schemaUrl ?? '',
    };
    const key = JSON.stringify([scope.name, scope.version, scope.schemaUrl]);
    const known = this.byScope.get(key);
    if (known !== undefined) return known;
    if (scope.name === '')
      this.host.notices.once('a meter without a name was asked for; it is made nevertheless');
    if (this.byScope.size >= this.settings.instrumentLimit) {
      this.host.notices.once(
        `there are ${this.byScope.size} meters, which is the limit; those that come now measure nothing`,
      );
      return createNoopMeter();
    }
    const meter = new ScopedMeter(scope, this.instruments, this.callbacks);
    this.byScope.set(key, meter);
    return meter;
  }

  collect(): Promise<readonly MetricData[]> {
    // Who comes while somebody collects gets the same: callbacks are not asked twice at a time.
    this.collecting ??= this.gather().finally(() => {
      this.collecting = undefined;
    });
    return this.collecting;
  }

  private async gather(): Promise<readonly MetricData[]> {
    await this.callbacks.ask();
    const { clock, exemplars } = this.host;
    const moment: Moment = { atMs: clock.wallMs(), now: clock.now() };
    const data: MetricData[] = [];
    // A copy: while this pauses, instruments may be made.
    for (const stream of [...this.instruments.streams]) {
      const one = await stream.snapshot(moment);
      if (one !== undefined) data.push(one);
    }
    exemplars.turn();
    return data;
  }
}

/**
 * Measures: a MeterProvider of OpenTelemetry's api, with cumulative sums, bounded series, histograms of both kinds and
 * exemplars.
 *
 * Use it where no SDK of OpenTelemetry measures: register it by `metrics.setGlobalMeterProvider`, or hand it to what takes
 * a `meterProvider`; show what it has by {@link exposition}, or send it by OTLP. Not beside a registered SDK: an instrument
 * belongs to one of them.
 *
 * Recording allocates nothing but for a new series or an exemplar. Values that are no finite numbers, and values below zero
 * of counters and histograms, are left out; so is a callback that throws or does not come back in time, alone: all are
 * counted in `keelson.telemetry.measurements.lost`, and told once through `diag`.
 *
 * A histogram whose unit is `s` and that advises no bounds has those of the semantic conventions.
 *
 * @throws TypeError or RangeError for options that cannot be understood
 * @example
 * ```ts
 * const provider = meters({ views: [{ instrument: 'keelson.endpoint.*', idleMs: 600_000 }] });
 * metrics.setGlobalMeterProvider(provider);
 * const { contentType, body } = await exposition().render(await provider.collect(), request.headers.accept);
 * ```
 *
 * Source: OpenTelemetry specification, metrics SDK and data model. The SDK's sdk-metrics sorts and joins attributes to a
 * string at each measurement; it applies all views that fit, keeps series for ever, and has no exemplars.
 */
export function meters(options: MetersOptions = {}): Meters {
  return new Registry(settingsOf(options));
}
