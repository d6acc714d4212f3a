import {
  type BatchObservableCallback,
  type Counter,
  createNoopMeter,
  type Gauge,
  type Histogram,
  type Meter,
  type MetricOptions,
  type Observable,
  type UpDownCounter,
} from '@opentelemetry/api';
import type { Instrument, InstrumentSet } from './instrument-set.js';
import type { MetricScope } from './metric-data.js';
import { type Callbacks, ObservableInstrument } from './observations.js';
import type { InstrumentKind } from './stream.js';

/** Makes the instruments of one scope. What cannot be made is dead, as it is without an SDK: a user's code goes on. */
export class ScopedMeter implements Meter {
  private readonly dead = createNoopMeter();

  constructor(
    private readonly scope: MetricScope,
    private readonly instruments: InstrumentSet,
    private readonly callbacks: Callbacks,
  ) {}

  createCounter(name: string, options?: MetricOptions): Counter {
    return (this.made('counter', name, options) as Counter | undefined) ?? this.dead.createCounter(name);
  }

  createUpDownCounter(name: string, options?: MetricOptions): UpDownCounter {
    const made = this.made('up-down counter', name, options) as UpDownCounter | undefined;
    return made ?? this.dead.createUpDownCounter(name);
  }

  createGauge(name: string, options?: MetricOptions): Gauge {
    // Whoever can ask for one has an api that knows them; ours may be older, and has a dead instrument of the same shape.
    const made = this.made('gauge', name, options) as Gauge | undefined;
    return made ?? (this.dead.createHistogram(name) as Gauge);
  }

  createHistogram(name: string, options?: MetricOptions): Histogram {
    return (
      (this.made('histogram', name, options) as Histogram | undefined) ?? this.dead.createHistogram(name)
    );
  }

  createObservableCounter(name: string, options?: MetricOptions): Observable {
    return this.observable('observable counter', name, options);
  }

  createObservableUpDownCounter(name: string, options?: MetricOptions): Observable {
    return this.observable('observable up-down counter', name, options);
  }

  createObservableGauge(name: string, options?: MetricOptions): Observable {
    return this.observable('observable gauge', name, options);
  }

  addBatchObservableCallback(callback: BatchObservableCallback, observables: Observable[]): void {
    const instruments = ownOf(observables);
    // Of instruments that are all dead nobody would see what is observed.
    if (instruments.size > 0) this.callbacks.add({ callback, single: undefined, instruments });
  }

  removeBatchObservableCallback(callback: BatchObservableCallback, observables: Observable[]): void {
    this.callbacks.remove(callback, ownOf(observables));
  }

  private observable(kind: InstrumentKind, name: string, options: MetricOptions | undefined): Observable {
    const made = this.made(kind, name, options) as Observable | undefined;
    return made ?? this.dead.createObservableGauge(name);
  }

  private made(
    kind: InstrumentKind,
    name: string,
    options: MetricOptions | undefined,
  ): Instrument | undefined {
    return this.instruments.register({ scope: this.scope, kind, name, options });
  }
}

function ownOf(observables: unknown): Set<ObservableInstrument> {
  const list: unknown[] = Array.isArray(observables) ? observables : [];
  return new Set(list.filter((one) => one instanceof ObservableInstrument));
}
