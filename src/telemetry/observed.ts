import {
  type Attributes,
  type BatchObservableResult,
  diag,
  type Meter,
  type MeterProvider,
  type Observable,
} from '@opentelemetry/api';
import { lazyInstruments } from './open-telemetry.js';

/** One instrument that is read when a reader collects. */
export interface ObservedInstrument {
  /** A value of this moment, a sum that only grows, or a sum that also falls. */
  readonly kind: 'gauge' | 'counter' | 'upDownCounter';
  /** Full name. */
  readonly name: string;
  /** UCUM unit. */
  readonly unit: string;
  /** One sentence. */
  readonly description: string;
}

/** Tells one value of an instrument. */
export type Tell<Key extends string> = (key: Key, value: number, attributes?: Attributes) => void;

/** Instruments that are read together. */
export interface Observed<Key extends string> {
  /** By a name of their own. */
  readonly instruments: Readonly<Record<Key, ObservedInstrument>>;
  /** Tells their values of this moment. What it throws is told to the diagnostics of OpenTelemetry. */
  read(tell: Tell<Key>): void;
}

/** Instruments that are shown. */
export interface Observation {
  /** Shows them to an SDK that was registered since; to be called now and then. */
  readonly refresh: () => void;
  /** Takes them away: a meter lives as long as the process, and would go on asking for what is gone. */
  readonly stop: () => void;
}

function create(meter: Meter, { kind, name, unit, description }: ObservedInstrument): Observable {
  const options = { unit, description };
  if (kind === 'counter') return meter.createObservableCounter(name, options);
  if (kind === 'gauge') return meter.createObservableGauge(name, options);
  return meter.createObservableUpDownCounter(name, options);
}

/**
 * Makes instruments that cost nothing until a reader collects.
 *
 * @param given - makes them; without it the provider that is registered globally, as soon as there is one
 */
export function observe<Key extends string>(observed: Observed<Key>, given?: MeterProvider): Observation {
  let remove: (() => void) | undefined;
  const make = (meter: Meter): true => {
    remove?.();
    const made = new Map<Key, Observable>();
    for (const [key, instrument] of Object.entries(observed.instruments) as [Key, ObservedInstrument][])
      made.set(key, create(meter, instrument));
    const observables = [...made.values()];
    const callback = (result: BatchObservableResult): void => {
      const tell: Tell<Key> = (key, value, attributes) => {
        const instrument = made.get(key);
        if (instrument !== undefined && Number.isFinite(value)) result.observe(instrument, value, attributes);
      };
      try {
        observed.read(tell);
      } catch (fault) {
        diag.error('keelson: metrics could not be read', fault);
      }
    };
    meter.addBatchObservableCallback(callback, observables);
    remove = () => meter.removeBatchObservableCallback(callback, observables);
    return true;
  };
  const instruments = lazyInstruments(make, given);
  instruments();
  let stopped = false;
  return {
    refresh: () => {
      if (!stopped) instruments();
    },
    stop: () => {
      stopped = true;
      remove?.();
      remove = undefined;
    },
  };
}
