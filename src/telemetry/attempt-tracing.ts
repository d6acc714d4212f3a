import { type Context, context, type Span, SpanKind, type Tracer, trace } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import { type Handler, invoke, type Middleware } from '../core/handler.js';
import { clientScope } from './client-scope.js';
import { isBare, reachesCallee, suppressTracing, tracerSource } from './open-telemetry.js';
import { sendContext } from './propagation.js';
import { SpanRecord } from './span-record.js';
import { startSpan } from './span-start.js';
import { scopeOf, type TraceScope } from './trace-scope.js';
import { type TracingOptions, type TracingSettings, tracingSettings } from './tracing-options.js';

/** Options of {@link attemptTracing}. */
export interface AttemptTracingOptions<Req, Res> extends TracingOptions<Req, Res> {
  /**
   * Whether `tracing({ side: 'client' })` stands around all calls that come here. Then what it found is relied on: a call
   * in which there is nothing to trace costs no second look. `true` without it makes no spans.
   *
   * @defaultValue `false`
   */
  readonly underTracing?: boolean | undefined;
}

/** Defaults of {@link AttemptTracingOptions}; the rest are those of {@link TracingOptions}. */
export const attemptTracingDefaults = { underTracing: false } as const;

function writeAttempt(span: Span, call: Call): void {
  const { endpoint, reason, choices } = call.attempt;
  span.setAttribute('service.peer.name', call.service);
  if (endpoint !== undefined) span.setAttribute('keelson.endpoint', endpoint.id);
  if (reason !== undefined) span.setAttribute('keelson.pick.reason', reason);
  if (choices !== undefined) span.setAttribute('keelson.pick.choices', choices);
}

/** One try under tracing. */
class Try<Req, Res> {
  constructor(
    private readonly settings: TracingSettings<Req, Res>,
    private readonly next: Handler<Req, Res>,
    private readonly request: Req,
    private readonly call: Call,
  ) {}

  send(tracer: Tracer, scope: TraceScope): Promise<Res> {
    const { settings, request, call } = this;
    const watched = settings.semantics.instrumented?.() === true;
    // What cannot be silenced writes a header of its own, so ours has to stay away, and with it our span.
    if (watched && !reachesCallee(suppressTracing(scope.context))) return invoke(this.next, request, call);
    const span = startSpan(tracer, { settings, kind: SpanKind.CLIENT, request, call }, scope.context);
    const within = trace.setSpan(scope.context, span);
    // In this order: under suppression nothing would be written.
    sendContext(within, call.headers);
    const around = watched ? suppressTracing(within) : within;
    if (!span.isRecording()) return this.run(around);
    writeAttempt(span, call);
    return new SpanRecord(span, settings, request, call).follow(this.run(around));
  }

  private run(within: Context): Promise<Res> {
    return context.with(within, invoke<Req, Res>, undefined, this.next, this.request, this.call);
  }
}

/**
 * Makes a CLIENT span of each try of a call, and writes trace and baggage to the headers of that try.
 *
 * Use it in the endpoint stack, behind the gates and before what times and sends the try, with
 * `tracing({ side: 'client' })` outside of retries: that one sees who calls before anything waits, and shows calls that
 * are refused before any try.
 *
 * Beside an auto-instrumentation of `node:http` or undici the call runs with tracing suppressed, after the headers were
 * written: one CLIENT span and one `traceparent`, whatever is installed. Hooks of that instrumentation do not see the
 * call then; its metrics do.
 *
 * @throws TypeError for unknown options
 * @example
 * ```ts
 * const endpointStack = compose([attemptTracing({ semantics: httpClientSemantics, protocol })], wire);
 * ```
 *
 * Source: OpenTelemetry semantic conventions for HTTP spans: one CLIENT span for each try, not for each call.
 */
export function attemptTracing<Req, Res>(options: AttemptTracingOptions<Req, Res>): Middleware<Req, Res> {
  const { underTracing = attemptTracingDefaults.underTracing, ...rest } = options ?? {};
  const settings = tracingSettings('attemptTracing', rest as TracingOptions<Req, Res>);
  const source = tracerSource(settings.tracerProvider);
  return (next) => (request, call) => {
    const known = scopeOf(call);
    if (known === undefined && underTracing) return next(request, call);
    const tracer = source.live();
    const scope = known ?? clientScope(call, tracer, context.active());
    if (scope === undefined || (tracer === undefined && isBare(scope.context))) return next(request, call);
    scope.attempts++;
    return new Try(settings, next, request, call).send(tracer ?? source.carrying, scope);
  };
}
