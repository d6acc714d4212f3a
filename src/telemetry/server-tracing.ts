import {
  type Context,
  context,
  type Span,
  type SpanContext,
  SpanKind,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import { type Handler, invoke, type Middleware } from '../core/handler.js';
import { noteArrival } from './arrival.js';
import {
  isBare,
  isSuppressed,
  type RequestSpan,
  type RpcMetadata,
  requestSpan,
  tracerSource,
} from './open-telemetry.js';
import { receivedContext, receivedSpan, withFlags, withReceivedBaggage } from './propagation.js';
import { notePropagation } from './propagation-options.js';
import type { Semantics } from './semantics.js';
import { callerOf } from './service-name.js';
import { answeredBy, describe, SpanRecord, writeError, writeResponse } from './span-record.js';
import { startSpan } from './span-start.js';
import { type TraceHeader, traceHeaderValue } from './trace-header.js';
import { openScope } from './trace-scope.js';
import type { TracingSettings } from './tracing-options.js';

/**
 * Tells the instrumentation the route when it asks, at the very end: routing may not have happened yet, and its own
 * listener runs before any that we could add. Whoever assigns a route is heard if we know none.
 */
function offerRoute<Req, Res>(metadata: RpcMetadata, semantics: Semantics<Req, Res>, call: Call): void {
  let assigned = metadata.route;
  Object.defineProperty(metadata, 'route', {
    configurable: true,
    enumerable: true,
    get: () => semantics.route?.(call) ?? assigned,
    set: (route: string | undefined) => {
      assigned = route;
    },
  });
}

function writeService(span: Span, call: Call): void {
  const caller = callerOf(call);
  if (caller !== undefined) span.setAttribute('service.peer.name', caller);
}

/** Tells the caller by headers which span serves it. */
function tellTrace<Req, Res>(
  { semantics, request }: { readonly semantics: Semantics<Req, Res>; readonly request: Req },
  headers: readonly TraceHeader[],
  span: SpanContext,
): void {
  describe(() => {
    for (const header of headers) {
      const value = traceHeaderValue(header, span);
      if (value !== undefined) semantics.addResponseHeader?.(request, header, value);
    }
  });
}

/** Without a span of our own there is still a trace that the caller may look for. */
function tellReceived<Req, Res>(semantics: Semantics<Req, Res>, request: Req, call: Call): void {
  const span = receivedSpan(call);
  if (span !== undefined) tellTrace({ semantics, request }, ['x-trace-id'], span);
}

/** One inbound call under tracing. */
class Inbound<Req, Res> {
  constructor(
    private readonly settings: TracingSettings<Req, Res>,
    private readonly next: Handler<Req, Res>,
    private readonly request: Req,
    private readonly call: Call,
    private readonly headers: readonly TraceHeader[],
  ) {}

  /** A span of our own, child of what the caller sent. */
  begin(tracer: Tracer, active: Context): Promise<Res> {
    const { settings, request, call } = this;
    const parent = receivedContext(call, active);
    const span = startSpan(tracer, { settings, kind: SpanKind.SERVER, request, call }, parent);
    const within = trace.setSpan(parent, span);
    openScope(call, within);
    this.tell(span.spanContext());
    if (!span.isRecording()) return this.run(within);
    noteArrival(call.values, settings.clock);
    writeService(span, call);
    return new SpanRecord(span, settings, request, call).follow(this.run(within));
  }

  /** The span of an instrumentation gets what we know; it stays theirs, and ends when they say. */
  adopt({ span, metadata }: RequestSpan, active: Context): Promise<Res> {
    const { semantics } = this.settings;
    const { call } = this;
    const received = receivedSpan(call);
    const inherited = received?.traceId === span.spanContext().traceId ? received : undefined;
    const within = withFlags(withReceivedBaggage(active, call), inherited);
    openScope(call, within);
    if (metadata !== undefined) metadata.adopted = true;
    this.tell(span.spanContext());
    if (!span.isRecording()) return this.run(within);
    noteArrival(call.values, this.settings.clock);
    writeService(span, call);
    if (metadata !== undefined) offerRoute(metadata, semantics, call);
    return this.run(within).then(
      (response) => {
        if (span.isRecording()) describe(() => this.enrich(span, response));
        return response;
      },
      (error: unknown) => {
        if (span.isRecording()) writeError(span, error, call);
        throw error;
      },
    );
  }

  private enrich(span: Span, response: Res): void {
    const { semantics } = this.settings;
    span.updateName(semantics.spanName(this.request, this.call));
    writeResponse(span, answeredBy(semantics, response, this.call), { call: this.call, end: undefined });
  }

  private tell(span: SpanContext): void {
    const { headers, request, settings } = this;
    if (headers.length > 0) tellTrace({ semantics: settings.semantics, request }, headers, span);
  }

  private run(within: Context): Promise<Res> {
    return context.with(within, invoke<Req, Res>, undefined, this.next, this.request, this.call);
  }
}

/** The server half of `tracing`. */
export function serverTracing<Req, Res>(
  settings: TracingSettings<Req, Res>,
  headers: readonly TraceHeader[],
): Middleware<Req, Res> {
  const { propagation, semantics, tracerProvider } = settings;
  const source = tracerSource(tracerProvider);
  const tellsTrace = headers.includes('x-trace-id');
  return (next) => (request, call) => {
    if (propagation !== undefined) notePropagation(call, propagation);
    const tracer = source.live();
    const active = context.active();
    if ((tracer === undefined && isBare(active)) || isSuppressed(active)) {
      if (tellsTrace) tellReceived(semantics, request, call);
      return next(request, call);
    }
    const found = requestSpan(active);
    if (found === undefined && semantics.instrumented?.() === true) return next(request, call);
    const inbound = new Inbound(settings, next, request, call, headers);
    return found ? inbound.adopt(found, active) : inbound.begin(tracer ?? source.carrying, active);
  };
}
