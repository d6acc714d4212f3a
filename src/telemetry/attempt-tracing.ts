import { type Attributes, type Context, context, type Span, SpanKind, type Tracer } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import { type Handler, invoke, type Middleware } from '../core/handler.js';
import { tiedCopies } from '../core/tied-copy.js';
import { attemptContext } from './attempt-context.js';
import { clientScope } from './client-scope.js';
import { Copies, isBeaten, type TryKind } from './copies.js';
import { isBare, reachesCallee, suppressTracing, tracerSource } from './open-telemetry.js';
import { sendContext } from './propagation.js';
import { processPropagation } from './propagation-options.js';
import { spanOfCall } from './span-of-call.js';
import { describe, SpanRecord } from './span-record.js';
import { startSpan } from './span-start.js';
import type { Standing } from './standing.js';
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
  /**
   * What is known of the breakers and ejections of the service, for spans to tell.
   *
   * @defaultValue none
   */
  readonly standing?: Standing | undefined;
}

/** Defaults of {@link AttemptTracingOptions}; the rest are those of {@link TracingOptions}. */
export const attemptTracingDefaults = { underTracing: false, standing: undefined } as const;

function writePick(into: Attributes, { attempt }: Call): void {
  const { endpoint, reason, choices, pick } = attempt;
  if (endpoint !== undefined) into['keelson.endpoint'] = endpoint.id;
  if (reason !== undefined) into['keelson.pick.reason'] = reason;
  if (choices !== undefined) into['keelson.pick.choices'] = choices;
  const compared = pick?.compared?.();
  if (compared === undefined) return;
  // Loads are of no unit; which is lower is all that counts. Of one that nobody has measured there may be none.
  if (Number.isFinite(compared.load)) into['keelson.pick.load'] = compared.load;
  if (Number.isFinite(compared.rivalLoad)) into['keelson.pick.rival_load'] = compared.rivalLoad;
  into['keelson.pick.rival'] = compared.rival.id;
}

function attemptAttributes(call: Call, kind: TryKind, standing: Standing | undefined): Attributes {
  const { attempt, deadline, values } = call;
  const attributes: Attributes = { 'service.peer.name': call.service };
  writePick(attributes, call);
  if (attempt.number > 1) attributes['keelson.attempt'] = attempt.number;
  if (kind !== 'first') attributes['keelson.attempt.kind'] = kind;
  const tied = kind === 'tied' ? values.get(tiedCopies)?.(attempt) : undefined;
  if (tied !== undefined) attributes['keelson.tied.mode'] = tied.mode;
  if (attempt.pickedAt !== undefined && Number.isFinite(deadline))
    attributes['keelson.deadline.left_ms'] = deadline - attempt.pickedAt;
  const breaker = attempt.endpoint && standing?.breakerOf(attempt.endpoint.id);
  if (breaker !== undefined) attributes['keelson.breaker.state'] = breaker;
  return attributes;
}

/** The span of the call says that it is tried once more. */
function tellCall(span: Span | undefined, kind: TryKind, { attempt: { number, endpoint } }: Call): void {
  const where = endpoint && { 'keelson.endpoint': endpoint.id };
  span?.addEvent(`keelson.${kind}`, { 'keelson.attempt': number, ...where });
}

/** One try under tracing. */
class Try<Req, Res> {
  constructor(
    private readonly settings: TracingSettings<Req, Res>,
    private readonly next: Handler<Req, Res>,
    private readonly request: Req,
    private readonly call: Call,
    private readonly standing: Standing | undefined,
  ) {}

  send(tracer: Tracer, scope: TraceScope): Promise<Res> {
    const { settings, request, call } = this;
    const watched = settings.semantics.instrumented?.() === true;
    // What cannot be silenced writes a header of its own, so ours has to stay away, and with it our span.
    if (watched && !reachesCallee(suppressTracing(scope.context))) return invoke(this.next, request, call);
    const adopted = spanOfCall(settings.semantics, scope.context, request, call);
    if (adopted !== undefined) return this.adopt(adopted, scope);
    const { copies } = scope;
    const kind = copies?.kindOf(call);
    const links = kind === undefined ? undefined : copies?.links(kind);
    const span = startSpan(tracer, { settings, kind: SpanKind.CLIENT, request, call, links }, scope.context);
    const within = attemptContext(scope.context, span);
    // In this order: under suppression nothing would be written.
    sendContext(within, call.headers, settings.propagation ?? processPropagation());
    const around = watched ? suppressTracing(within) : within;
    return span.isRecording() ? this.recorded(span, scope, around) : this.run(around);
  }

  /** The span of an instrumentation gets what we know; it stays theirs, and ends when they say. */
  private adopt(span: Span, scope: TraceScope): Promise<Res> {
    const { settings, request, call } = this;
    const within = attemptContext(scope.context, span);
    sendContext(within, call.headers, settings.propagation ?? processPropagation());
    if (!span.isRecording()) return this.run(within);
    scope.copies ??= new Copies();
    const kind = scope.copies.kindOf(call);
    const mark = scope.copies.add(span.spanContext());
    describe(() => span.setAttributes(settings.semantics.requestAttributes(request, call)));
    span.setAttributes(attemptAttributes(call, kind, this.standing));
    if (kind !== 'first') tellCall(span, kind, call);
    const running = this.run(within);
    const over = (): void => {
      mark.pending = false;
    };
    running.then(over, over);
    return running;
  }

  private recorded(span: Span, scope: TraceScope, around: Context): Promise<Res> {
    const { settings, request, call } = this;
    scope.copies ??= new Copies();
    const { copies } = scope;
    const kind = copies.kindOf(call);
    const mark = copies.add(span.spanContext());
    span.setAttributes(attemptAttributes(call, kind, this.standing));
    if (kind !== 'first' && call.attempt.number > 1) tellCall(scope.span, kind, call);
    const { protocol } = settings;
    return new SpanRecord(span, settings, request, call).follow(this.run(around), {
      answered: (response) =>
        copies.answered(mark, span, protocol?.classify(response, undefined) === 'success'),
      failed: () => copies.failed(mark, span, isBeaten(call, scope.cancel)),
    });
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
 * A try that begins while another of its call is not answered yet is a copy of it (`hedge`, `tied`) and linked to it; one
 * that begins after another is a `retry`, linked to the one before.
 *
 * Beside an instrumentation that has made the CLIENT span of the whole call already, as that of grpc-js does, the tries are
 * told of on that span, as attributes and events, and have none of their own.
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
  const { underTracing = attemptTracingDefaults.underTracing, standing, ...rest } = options ?? {};
  const settings = tracingSettings('attemptTracing', rest as TracingOptions<Req, Res>);
  const { propagation, tracerProvider } = settings;
  const source = tracerSource(tracerProvider);
  return (next) => (request, call) => {
    const known = scopeOf(call);
    if (known === undefined && underTracing) return next(request, call);
    const tracer = source.live();
    const scope = known ?? clientScope(call, tracer, { active: context.active(), propagation });
    if (scope === undefined || (tracer === undefined && isBare(scope.context))) return next(request, call);
    scope.attempts++;
    return new Try(settings, next, request, call, standing).send(tracer ?? source.carrying, scope);
  };
}
