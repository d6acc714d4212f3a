import { type Context, context, type Span, SpanKind, type Tracer, trace } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import { type Handler, invoke, type Middleware } from '../core/handler.js';
import {
  isBare,
  isSuppressed,
  type RequestSpan,
  type RpcMetadata,
  requestSpan,
  tracerSource,
} from './open-telemetry.js';
import { receivedContext, receivedSpan, withRandomFlag, withReceivedBaggage } from './propagation.js';
import type { Semantics } from './semantics.js';
import { callerOf } from './service-name.js';
import { answeredBy, describe, SpanRecord, writeError, writeResponse } from './span-record.js';
import { startSpan } from './span-start.js';
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

/** One inbound call under tracing. */
class Inbound<Req, Res> {
  constructor(
    private readonly settings: TracingSettings<Req, Res>,
    private readonly next: Handler<Req, Res>,
    private readonly request: Req,
    private readonly call: Call,
  ) {}

  /** A span of our own, child of what the caller sent. */
  begin(tracer: Tracer, active: Context): Promise<Res> {
    const { settings, request, call } = this;
    const parent = receivedContext(call, active);
    const span = startSpan(tracer, { settings, kind: SpanKind.SERVER, request, call }, parent);
    const within = trace.setSpan(parent, span);
    openScope(call, within);
    if (!span.isRecording()) return this.run(within);
    writeService(span, call);
    return new SpanRecord(span, settings, request, call).follow(this.run(within));
  }

  /** The span of an instrumentation gets what we know; it stays theirs, and ends when they say. */
  adopt({ span, metadata }: RequestSpan, active: Context): Promise<Res> {
    const { semantics } = this.settings;
    const { call } = this;
    const received = receivedSpan(call.headers);
    const inherited = received?.traceId === span.spanContext().traceId ? received : undefined;
    const within = withRandomFlag(withReceivedBaggage(active, call), inherited);
    openScope(call, within);
    if (!span.isRecording()) return this.run(within);
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

  private run(within: Context): Promise<Res> {
    return context.with(within, invoke<Req, Res>, undefined, this.next, this.request, this.call);
  }
}

/** The server half of `tracing`. */
export function serverTracing<Req, Res>(settings: TracingSettings<Req, Res>): Middleware<Req, Res> {
  const source = tracerSource(settings.tracerProvider);
  return (next) => (request, call) => {
    const tracer = source.live();
    const active = context.active();
    if ((tracer === undefined && isBare(active)) || isSuppressed(active)) return next(request, call);
    const inbound = new Inbound(settings, next, request, call);
    const found = requestSpan(active);
    return found ? inbound.adopt(found, active) : inbound.begin(tracer ?? source.carrying, active);
  };
}
