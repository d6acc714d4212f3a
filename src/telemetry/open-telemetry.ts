import {
  type Context,
  context,
  createContextKey,
  createNoopMeter,
  type Meter,
  type MeterProvider,
  metrics,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api';

/** Instrumentation scope of everything that is recorded here. */
const scopeName = 'keelson';

// The api makes equal keys of equal names, so these are the keys of @opentelemetry/core, without needing it.
const suppressKey = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');
/** Where a context tells instrumentations within of the request that is being served. */
export const rpcKey = createContextKey('OpenTelemetry SDK Context Key RPC_METADATA');

/** The context in which instrumentations make no spans and propagators write no headers. */
export function suppressTracing(within: Context): Context {
  return within.setValue(suppressKey, true);
}

/** Whether somebody asked for silence: an exporter that sends its own spans, a request that is not to be traced. */
export function isSuppressed(within: Context): boolean {
  return within.getValue(suppressKey) === true;
}

// Where all copies of the api of one major version keep what was registered with any of them.
const registered = Symbol.for('opentelemetry.js.api.1');
const home = globalThis as { readonly [registered]?: { readonly propagation?: unknown } };

/**
 * Whether nobody has registered anything, neither SDK nor context manager. The api finds that out too, but takes ten times
 * as long at each look.
 */
export function isUnused(): boolean {
  return home[registered] === undefined;
}

/** The propagator that is registered for the process; the api itself tells only which headers it writes. */
export function registeredPropagator(): object | undefined {
  const propagator = home[registered]?.propagation;
  return typeof propagator === 'object' && propagator !== null ? propagator : undefined;
}

interface Delegating {
  getDelegateTracer?(name: string): Tracer | undefined;
}

/** Where spans come from. */
export interface TracerSource {
  /** The tracer of a registered SDK, or `undefined`. Asked at each call: an SDK may be registered late. */
  live(): Tracer | undefined;
  /** Makes spans that only carry their parent on, for a context that is passed along without an SDK. */
  readonly carrying: Tracer;
}

/** @param given - instead of the one that is registered globally */
export function tracerSource(given: TracerProvider | undefined): TracerSource {
  let known: TracerProvider | undefined;
  let tracer: Tracer | undefined;
  return {
    live() {
      const provider = given ?? trace.getTracerProvider();
      if (provider !== known) {
        known = provider;
        tracer = undefined;
      }
      // A proxy without a delegate: nobody has registered. Anything that is no proxy is the SDK itself.
      if (tracer === undefined) {
        const proxy = provider as Delegating;
        tracer =
          proxy.getDelegateTracer === undefined
            ? provider.getTracer(scopeName)
            : proxy.getDelegateTracer(scopeName);
      }
      return tracer;
    },
    carrying: trace.getTracer(scopeName),
  };
}

/**
 * Makes instruments when they are first needed and there is an SDK. The metrics api has no proxy: instruments that are
 * made before the SDK is registered stay dead for ever, so they are made anew for each provider.
 *
 * @param given - instead of the provider that is registered globally
 * @returns what gives the instruments, or `undefined` while there is no SDK
 */
export function lazyInstruments<T>(
  make: (meter: Meter) => T,
  given: MeterProvider | undefined,
): () => T | undefined {
  const dead = createNoopMeter();
  let known: MeterProvider | undefined;
  let made: T | undefined;
  return () => {
    if (given === undefined && isUnused()) return undefined;
    const provider = given ?? metrics.getMeterProvider();
    if (provider !== known) {
      known = provider;
      const meter = provider.getMeter(scopeName);
      made = meter === dead ? undefined : make(meter);
    }
    return made;
  };
}

/** What HTTP instrumentations keep for each other: the span of the request, and the route once somebody knows it. */
export interface RpcMetadata {
  readonly type?: unknown;
  readonly span?: Span | undefined;
  route?: string | undefined;
  /** Ours: a server stack of keelson serves the request, names its span and measures it. */
  adopted?: boolean | undefined;
}

/** What a context tells of the request that is being served. */
export function rpcMetadataOf(within: Context): RpcMetadata | undefined {
  return within.getValue(rpcKey) as RpcMetadata | undefined;
}

/** The span that an auto-instrumentation has made for this request. */
export interface RequestSpan {
  readonly span: Span;
  readonly metadata: RpcMetadata | undefined;
}

/** A span that has ended is left over from whoever started the server. */
function isOver(span: Span): boolean {
  return (span as { ended?: unknown }).ended === true;
}

/**
 * The span of the request that is being served, if an instrumentation has made one. It counts also when it is not
 * recorded: the decision not to record was made there, and a second span would make it again.
 */
export function requestSpan(within: Context): RequestSpan | undefined {
  const metadata = within.getValue(rpcKey) as RpcMetadata | undefined;
  if (metadata?.type === 'http' && metadata.span !== undefined && !isOver(metadata.span))
    return { span: metadata.span, metadata };
  const span = trace.getSpan(within);
  if (span === undefined || !span.isRecording()) return undefined;
  return (span as { kind?: unknown }).kind === SpanKind.SERVER ? { span, metadata: undefined } : undefined;
}

const readActive = (): Context => context.active();

/** Whether a context manager is there at all: without one a context cannot be handed to what is called. */
export function reachesCallee(within: Context): boolean {
  return context.with(within, readActive) === within;
}

/** Whether the running code is part of any context. */
export function isBare(active: Context): boolean {
  return active === ROOT_CONTEXT;
}
