import type { SpanContext } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import type { Carrier } from '../core/carrier.js';
import { checkChoice, resolveOptions, wrongKind } from '../core/options.js';
import { callKey } from '../core/values.js';
import { readB3, readB3Multi, writeB3, writeB3Multi } from './b3.js';
import { readGrpcTraceBin } from './grpc-trace-bin.js';
import { registeredPropagator } from './open-telemetry.js';
import type { ReceivedSpan } from './received-span.js';
import { readUber, writeUber } from './uber-trace-id.js';
import { readW3c, writeW3c } from './w3c.js';

/** What can be read of a peer. */
export type ExtractFormat = 'w3c' | 'baggage' | 'b3' | 'b3multi' | 'uber' | 'grpc-trace-bin';

/** What can be written to a peer. */
export type InjectFormat = 'w3c' | 'baggage' | 'b3' | 'b3multi' | 'uber';

/** In which words trace and baggage travel. */
export interface PropagationOptions {
  /**
   * What is read, in this order; the first that names a trace counts. `w3c` is `traceparent` and `tracestate`, `b3` both forms
   * of B3, `b3multi` its several headers only, `uber` Jaeger's `uber-trace-id`. `baggage` is read beside them, wherever it
   * stands, of peers that are trusted.
   *
   * @defaultValue `['w3c', 'baggage', 'b3', 'uber', 'grpc-trace-bin']`
   */
  readonly extract?: readonly ExtractFormat[] | undefined;
  /**
   * What is written, all of it: a callee of an older system may need `b3` beside `w3c`.
   *
   * @defaultValue `['w3c', 'baggage']`
   */
  readonly inject?: readonly InjectFormat[] | undefined;
}

/**
 * Defaults of {@link PropagationOptions}. Everything is understood, since whoever sends it means it, and one language is
 * spoken, since all have learned it.
 */
export const propagationDefaults = {
  extract: ['w3c', 'baggage', 'b3', 'uber', 'grpc-trace-bin'],
  inject: ['w3c', 'baggage'],
} as const satisfies PropagationOptions;

type Reader = (headers: Carrier) => ReceivedSpan | undefined;
type Writer = (span: SpanContext, headers: Carrier, debug: boolean) => void;

const readers: { readonly [Format in ExtractFormat]: Reader | undefined } = {
  w3c: readW3c,
  baggage: undefined,
  b3: readB3,
  b3multi: readB3Multi,
  uber: readUber,
  'grpc-trace-bin': readGrpcTraceBin,
};

const writers: { readonly [Format in InjectFormat]: Writer | undefined } = {
  w3c: writeW3c,
  baggage: undefined,
  b3: writeB3,
  b3multi: writeB3Multi,
  uber: writeUber,
};

/** {@link PropagationOptions}, checked and made ready. */
export interface Propagation {
  readonly extract: readonly ExtractFormat[];
  readonly inject: readonly InjectFormat[];
  readonly readers: readonly Reader[];
  readonly writers: readonly Writer[];
  readonly readsBaggage: boolean;
  readonly writesBaggage: boolean;
  /** Somebody chose it: then a propagator that is registered for others has no say. */
  readonly chosen: boolean;
}

function checkList<T extends string>(
  field: string,
  list: readonly T[],
  known: Readonly<Record<T, unknown>>,
): readonly T[] {
  if (!Array.isArray(list)) throw wrongKind(field, 'an array of formats', list);
  return list.map((format, at) => checkChoice(`${field}[${at}]`, format, Object.keys(known) as T[]));
}

function made<T>(formats: readonly (T | undefined)[]): readonly T[] {
  return formats.filter((one) => one !== undefined);
}

function ready(
  extract: readonly ExtractFormat[],
  inject: readonly InjectFormat[],
  chosen: boolean,
): Propagation {
  return {
    extract,
    inject,
    readers: made(extract.map((format) => readers[format])),
    writers: made(inject.map((format) => writers[format])),
    readsBaggage: extract.includes('baggage'),
    writesBaggage: inject.includes('baggage'),
    chosen,
  };
}

const usual = ready(propagationDefaults.extract, propagationDefaults.inject, false);

/**
 * Checks a choice of formats.
 *
 * @param owner - name for messages
 * @returns `undefined` where nothing was chosen
 * @throws TypeError or RangeError for what is no format
 */
export function chosenPropagation(
  owner: string,
  options: PropagationOptions | undefined,
): Propagation | undefined {
  if (options === undefined) return undefined;
  const field = `${owner}.propagation`;
  const { extract, inject } = resolveOptions<Required<PropagationOptions>>(
    field,
    propagationDefaults,
    options,
  ) as Pick<Propagation, 'extract' | 'inject'>;
  return ready(
    checkList(`${field}.extract`, extract, readers),
    checkList(`${field}.inject`, inject, writers),
    true,
  );
}

/** On a propagator of ours: the options that it was made with. */
export const propagatorBrand = Symbol.for('keelson.propagator.v1');

const ofPropagators = new WeakMap<object, Propagation>();

/** What a propagator of ours, of whichever copy of the package, stands for when it is registered for the process. */
function registered(): Propagation | undefined {
  const propagator = registeredPropagator() as
    | { readonly [propagatorBrand]?: PropagationOptions }
    | undefined;
  const options = propagator?.[propagatorBrand];
  if (propagator === undefined || options === undefined) return undefined;
  let known = ofPropagators.get(propagator);
  if (known === undefined) {
    known = chosenPropagation('propagator', options) ?? usual;
    ofPropagators.set(propagator, known);
  }
  return known;
}

/** What counts where nothing was chosen for a stack: that of the process, else the usual. */
export function processPropagation(): Propagation {
  return registered() ?? usual;
}

const chosenKey = callKey<Propagation>('keelson.propagation');

/** Notes on an inbound call how it is to be read, for those who look at it later. */
export function notePropagation(call: Call, chosen: Propagation): void {
  call.values.set(chosenKey, chosen);
}

/** How an inbound call is to be read. */
export function propagationOf(call: Call): Propagation {
  return call.values.get(chosenKey) ?? processPropagation();
}
