import type { MetricOptions } from '@opentelemetry/api';
import { ValueType } from '@opentelemetry/api';
import { boundsOfUnit, checkedBounds } from './bounds.js';
import { instrumentNameRule, isInstrumentName } from './instrument-name.js';
import { AddingInstrument, RecordingInstrument } from './instruments.js';
import type { MetricScope } from './metric-data.js';
import { type HistogramKind, type MetricView, metricViewDefaults } from './metric-view.js';
import { type Callbacks, ObservableInstrument } from './observations.js';
import { ObservedStream } from './observed-stream.js';
import { recordedStream } from './recorded-stream.js';
import type { InstrumentKind, Stream, StreamHost, StreamIdentity, StreamSettings } from './stream.js';

/** Whatever a meter makes. */
export type Instrument = AddingInstrument | RecordingInstrument | ObservableInstrument;

/** An instrument, and what it has measured. */
interface Registered {
  readonly instrument: Instrument;
  readonly stream: Stream;
}

/** What a user asks for. */
export interface InstrumentRequest {
  readonly scope: MetricScope;
  readonly kind: InstrumentKind;
  readonly name: string;
  readonly options: MetricOptions | undefined;
}

/** How instruments measure, unless a view says otherwise. */
export interface InstrumentDefaults {
  readonly seriesLimit: number;
  readonly idleMs: number;
  readonly histogram: HistogramKind;
  readonly instrumentLimit: number;
  readonly views: readonly MetricView[];
}

const text = (given: unknown): string => (typeof given === 'string' ? given : '');

/** What two requests of one name differ in; an instrument of both cannot be. */
function conflict(known: StreamIdentity, asked: StreamIdentity): string | undefined {
  if (known.kind !== asked.kind) return `kind ${known.kind}, and ${asked.kind}`;
  if (known.unit !== asked.unit) return `unit "${known.unit}", and "${asked.unit}"`;
  if (known.integer !== asked.integer) return 'whole numbers, and others';
  return undefined;
}

/**
 * All instruments of a process. Asked twice for the same one it gives it twice; of instruments that differ in no more than
 * their description the longer one counts. Those that differ in more, and bear one name, are told of and kept apart.
 *
 * Source: OpenTelemetry specification, metrics SDK, "Duplicate instrument registration".
 */
export class InstrumentSet {
  private readonly byName = new Map<string, Registered[]>();
  private readonly all: Stream[] = [];

  constructor(
    private readonly defaults: InstrumentDefaults,
    private readonly host: StreamHost,
    private readonly callbacks: Callbacks,
  ) {}

  /** In the order in which they were made. */
  get streams(): readonly Stream[] {
    return this.all;
  }

  /** @returns `undefined` when there can be none of it, or a view leaves it out: then a dead one will do */
  register(request: InstrumentRequest): Instrument | undefined {
    const { scope, name } = request;
    const { notices } = this.host;
    if (!isInstrumentName(name)) {
      const shown = String(JSON.stringify(name)).slice(0, 300);
      notices.once(`${shown} is no name of an instrument (${instrumentNameRule}); it measures nothing`);
      return undefined;
    }
    const view = this.defaults.views.find((one) => one.fits(name, scope.name));
    if (view?.drop) return undefined;
    const settings = this.settingsOf(request, view);
    const same = this.known(settings.identity);
    if (same !== undefined) return same;
    if (this.all.length >= this.defaults.instrumentLimit) {
      notices.once(
        `there are ${this.all.length} instruments, which is the limit; those that come now measure nothing`,
      );
      return undefined;
    }
    return this.make(settings);
  }

  private settingsOf(
    { scope, kind, name, options }: InstrumentRequest,
    view: MetricView | undefined,
  ): StreamSettings {
    const { defaults } = this;
    const unit = text(options?.unit);
    const exponential = (view?.histogram ?? defaults.histogram) === 'exponential';
    return {
      identity: {
        scope,
        kind,
        name: view?.name ?? name,
        description: view?.description ?? text(options?.description),
        unit,
        integer: options?.valueType === ValueType.INT,
      },
      bounds: view?.bounds ?? this.advised(name, options) ?? boundsOfUnit(unit),
      maxBuckets: exponential ? (view?.maxBuckets ?? metricViewDefaults.maxBuckets) : 0,
      keeps: view?.keeps,
      limit: view?.seriesLimit ?? defaults.seriesLimit,
      idleMs: view?.idleMs ?? defaults.idleMs,
    };
  }

  private advised(name: string, options: MetricOptions | undefined): readonly number[] | undefined {
    const advice: unknown = options?.advice?.explicitBucketBoundaries;
    if (advice === undefined) return undefined;
    const bounds = checkedBounds(advice);
    if (bounds === undefined)
      this.host.notices.once(
        `the bounds that ${name} advises are no rising numbers; it has the default ones`,
      );
    return bounds;
  }

  private named({ scope, name }: StreamIdentity): Registered[] {
    const key = JSON.stringify([scope.name, scope.version, scope.schemaUrl, name.toLowerCase()]);
    const registered = this.byName.get(key) ?? [];
    this.byName.set(key, registered);
    return registered;
  }

  private known(asked: StreamIdentity): Instrument | undefined {
    const { notices } = this.host;
    for (const { instrument, stream } of this.named(asked)) {
      const { identity } = stream;
      const reason = conflict(identity, asked);
      if (reason !== undefined) {
        notices.once(
          `${asked.name} of ${asked.scope.name} was made twice and differently (${reason}); both are shown. Rename one of them by a view`,
        );
        continue;
      }
      if (identity.name !== asked.name)
        notices.once(
          `${asked.name} and ${identity.name} are one instrument: the case of letters does not count`,
        );
      if (identity.description !== asked.description) {
        notices.once(`${asked.name} was made twice with different descriptions; the longer one is shown`);
        if (asked.description.length > identity.description.length) identity.description = asked.description;
      }
      return instrument;
    }
    return undefined;
  }

  private make(settings: StreamSettings): Instrument {
    const registered = this.made(settings);
    this.named(settings.identity).push(registered);
    this.all.push(registered.stream);
    return registered.instrument;
  }

  private made(settings: StreamSettings): Registered {
    const { kind } = settings.identity;
    if (kind.startsWith('observable')) {
      const stream = new ObservedStream(settings, this.host);
      return { stream, instrument: new ObservableInstrument(stream, this.callbacks) };
    }
    const stream = recordedStream(settings, this.host);
    const adds = kind.endsWith('counter');
    return { stream, instrument: adds ? new AddingInstrument(stream) : new RecordingInstrument(stream) };
  }
}
