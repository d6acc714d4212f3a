import {
  type Context,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
  trace,
} from '@opentelemetry/api';
import type { Carrier } from '../core/carrier.js';
import { parseBaggage } from './baggage.js';
import { isSuppressed } from './open-telemetry.js';
import { readSpan, withBaggage, withFlags, writeContext } from './propagation.js';
import {
  chosenPropagation,
  type ExtractFormat,
  type InjectFormat,
  type Propagation,
  type PropagationOptions,
  propagatorBrand,
} from './propagation-options.js';

const fieldsOf: { readonly [Format in ExtractFormat | InjectFormat]: readonly string[] } = {
  w3c: ['traceparent', 'tracestate'],
  baggage: ['baggage'],
  b3: ['b3'],
  b3multi: ['x-b3-traceid', 'x-b3-spanid', 'x-b3-sampled', 'x-b3-flags'],
  uber: ['uber-trace-id'],
  'grpc-trace-bin': [],
};

/** What is given to a propagator, as headers. */
class Borrowed<C> implements Carrier {
  constructor(
    private readonly carrier: C,
    private readonly getter: TextMapGetter<C> | undefined,
    private readonly setter: TextMapSetter<C> | undefined,
  ) {}
  get(name: string): string | undefined {
    const value = this.getter?.get(this.carrier, name);
    return Array.isArray(value) ? value.join(',') : value;
  }
  set(name: string, value: string): void {
    this.setter?.set(this.carrier, name, value);
  }
  keys(): Iterable<string> {
    return this.getter?.keys(this.carrier) ?? [];
  }
}

/** The setter alone cannot tell what is there already, so an empty `tracestate` is never written. */
class Formats implements TextMapPropagator {
  readonly [propagatorBrand]: PropagationOptions;

  constructor(private readonly how: Propagation) {
    this[propagatorBrand] = { extract: how.extract, inject: how.inject };
  }
  inject<C>(within: Context, carrier: C, setter: TextMapSetter<C>): void {
    if (!isSuppressed(within)) writeContext(within, new Borrowed(carrier, undefined, setter), this.how);
  }
  extract<C>(within: Context, carrier: C, getter: TextMapGetter<C>): Context {
    const headers = new Borrowed(carrier, getter, undefined);
    const span = readSpan(headers, this.how);
    const parent = span === undefined ? within : trace.setSpanContext(within, span);
    const baggage = this.how.readsBaggage ? parseBaggage(headers.get('baggage')) : [];
    return withFlags(baggage.length === 0 ? parent : withBaggage(parent, baggage), span);
  }
  fields(): string[] {
    return this.how.inject.flatMap((format) => fieldsOf[format]);
  }
}

/**
 * Makes a propagator of OpenTelemetry out of the same formats, for the instrumentations of others. Registered for the process, it also
 * says in which words all stacks speak that were told nothing else.
 *
 * @throws TypeError or RangeError for what is no format
 * @example
 * ```ts
 * propagation.setGlobalPropagator(propagator({ inject: ['w3c', 'baggage', 'b3'] }));
 * ```
 */
export function propagator(options: PropagationOptions = {}): TextMapPropagator {
  return new Formats(chosenPropagation('propagator', options) as Propagation);
}
