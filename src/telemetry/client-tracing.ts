import { context, ROOT_CONTEXT, SpanKind, type Tracer, trace } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import { type Handler, invoke, type Middleware } from '../core/handler.js';
import { clientScope } from './client-scope.js';
import { isBare, isUnused, tracerSource } from './open-telemetry.js';
import { serviceNameHeader } from './service-name.js';
import { spanOfCall } from './span-of-call.js';
import { describe, writeError } from './span-record.js';
import type { Standing } from './standing.js';
import { openScope, type TraceScope } from './trace-scope.js';
import type { TracingSettings } from './tracing-options.js';

/** What only clients are told. */
export interface ClientTracingSettings {
  readonly service: string | undefined;
  readonly logicalSpan: boolean;
  readonly standing: Standing | undefined;
}

const spanName = (call: Call): string => `${call.service} ${call.operation}`;

/** One outgoing call, all its tries together. */
class Outgoing<Req, Res> {
  constructor(
    private readonly next: Handler<Req, Res>,
    private readonly request: Req,
    private readonly call: Call,
    private readonly standing: Standing | undefined,
  ) {}

  /** A span around all tries. It ends with the answer: the body belongs to the try that brought it. */
  around(tracer: Tracer, outer: TraceScope): Promise<Res> {
    const { call } = this;
    const span = tracer.startSpan(spanName(call), { kind: SpanKind.INTERNAL }, outer.context);
    const within = trace.setSpan(outer.context, span);
    const scope = openScope(call, within);
    const recorded = span.isRecording();
    if (recorded) scope.span = span;
    const running = context.with(within, invoke<Req, Res>, undefined, this.next, this.request, call);
    if (!recorded) return running;
    const finish = (): void => {
      span.setAttributes({ 'service.peer.name': call.service, 'keelson.attempts': scope.attempts });
      if (this.standing !== undefined) span.setAttributes(this.standing.attributes());
      span.end();
    };
    return running.then(
      (response) => {
        finish();
        return response;
      },
      (error: unknown) => {
        describe(() => writeError(span, error, call));
        finish();
        throw error;
      },
    );
  }

  /** No span unless the call is refused before any try: else a trace would not show that there was a call. */
  through(tracer: Tracer, scope: TraceScope): Promise<Res> {
    const startTime = Date.now();
    return invoke(this.next, this.request, this.call).then(undefined, (error: unknown) => {
      if (scope.attempts === 0) this.refused(tracer, scope, { error, startTime });
      throw error;
    });
  }

  private refused(
    tracer: Tracer,
    scope: TraceScope,
    { error, startTime }: { readonly error: unknown; readonly startTime: number },
  ): void {
    const { call } = this;
    const span = tracer.startSpan(spanName(call), { kind: SpanKind.INTERNAL, startTime }, scope.context);
    if (span.isRecording()) {
      span.setAttributes({ 'service.peer.name': call.service, 'keelson.attempts': 0 });
      if (this.standing !== undefined) span.setAttributes(this.standing.attributes());
      describe(() => writeError(span, error, call));
    }
    span.end();
  }
}

/** The client half of `tracing`. */
export function clientTracing<Req, Res>(
  settings: TracingSettings<Req, Res>,
  { service, logicalSpan, standing }: ClientTracingSettings,
): Middleware<Req, Res> {
  const { tracerProvider: given, propagation } = settings;
  const source = tracerSource(given);
  return (next) => (request, call) => {
    if (service !== undefined) call.headers.set(serviceNameHeader, service);
    const unused = isUnused();
    const tracer = unused && given === undefined ? undefined : source.live();
    const active = unused ? ROOT_CONTEXT : context.active();
    const scope = clientScope(call, tracer, { active, propagation });
    if (scope === undefined || (tracer === undefined && isBare(scope.context))) return next(request, call);
    const outgoing = new Outgoing(next, request, call, standing);
    const adopted = spanOfCall(settings.semantics, scope.context, request, call);
    return logicalSpan && adopted === undefined
      ? outgoing.around(tracer ?? source.carrying, scope)
      : outgoing.through(tracer ?? source.carrying, scope);
  };
}
