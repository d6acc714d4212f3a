import {
  type Attributes,
  type Context,
  context,
  diag,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { Carrier } from '../core/carrier.js';
import type { Outcome } from '../core/outcome.js';
import { type AnsweredHeaders, outcomeOfStatus } from '../http/verdict.js';
import { attemptSpan } from '../telemetry/attempt-context.js';
import { errorTypeOf } from '../telemetry/error-name.js';
import { isSuppressed } from '../telemetry/open-telemetry.js';
import { sendContext, sendSpan } from '../telemetry/propagation.js';
import { processPropagation } from '../telemetry/propagation-options.js';
import { serviceNameHeader } from '../telemetry/service-name.js';
import { callerContext } from '../telemetry/trace-scope.js';
import { unknownService } from '../topology/edge.js';
import { endQuietly } from './end-quietly.js';
import { outcomeOf } from './grpc-status.js';
import { isSpokenFor } from './spoken-for.js';
import type { Durations, Witness } from './witness.js';

/** What a wire says of a request that goes out. */
export interface Departure {
  /** Name of the span; of low cardinality. */
  readonly name: string;
  /** Whether it stays in the network of this process. */
  readonly inner: boolean;
  /** The headers that it goes out with; may still be written to. */
  readonly headers: Carrier;
  /** Which histogram measures it. */
  readonly measuredBy: 'client' | 'rpcClient';
  /** Of low cardinality: of the span and of the measurement. */
  readonly labels: Attributes;
  /** All else that is known before it goes; asked for if the span is recorded. */
  describe(): Attributes;
}

/** A status alone has to do. */
const noHeaders: AnsweredHeaders = { get: () => undefined };

/** How a request ended. */
export interface Arrival {
  /** Of low cardinality: of the span and of the measurement. */
  readonly labels?: Attributes | undefined;
  /** Why it counts as an error, in a word. */
  readonly errorType?: string | undefined;
  /** What was thrown, if anything was. */
  readonly error?: unknown;
}

/** Whoever gave up has no error, and the callee none either. */
function isAbort(error: unknown): boolean {
  const { name, code } = (error ?? {}) as { readonly name?: unknown; readonly code?: unknown };
  return name === 'AbortError' || code === 'ABORT_ERR' || code === 'UND_ERR_ABORTED';
}

/** One request of this process that goes out, until its answer is over. Ends once, whatever is told twice. */
export class SentRequest {
  private over = false;
  private readonly startedAt: number;

  constructor(
    readonly span: Span | undefined,
    private readonly labels: Attributes,
    private readonly histogram: Departure['measuredBy'],
    private readonly witness: Witness,
  ) {
    this.startedAt = witness.now();
  }

  /** Whether anybody would read what it is told. */
  get isRecorded(): boolean {
    return this.span?.isRecording() === true;
  }

  /** Ends it by an answer or by an error. */
  end({ labels, errorType, error }: Arrival): void {
    if (this.over) return;
    this.over = true;
    const type = isAbort(error)
      ? undefined
      : (errorType ?? (error === undefined ? undefined : errorTypeOf(error)));
    try {
      this.write(labels, type, error);
      this.measure(labels, type, error);
    } catch (fault) {
      diag.error('keelson: the end of a request could not be told', fault);
    }
    endQuietly(this.span);
  }

  private write(labels: Attributes | undefined, type: string | undefined, error: unknown): void {
    const { span } = this;
    if (span === undefined || !span.isRecording()) return;
    if (labels !== undefined) span.setAttributes(labels);
    if (isAbort(error)) span.setAttribute('keelson.outcome', 'ignored');
    if (type === undefined) return;
    span.setAttribute('error.type', type);
    if (error === undefined) {
      span.setStatus({ code: SpanStatusCode.ERROR });
      return;
    }
    const message = error instanceof Error ? error.message : String(error);
    span.recordException(error instanceof Error ? error : message);
    span.setStatus({ code: SpanStatusCode.ERROR, message });
  }

  private measure(labels: Attributes | undefined, type: string | undefined, error: unknown): void {
    const durations: Durations | undefined = this.witness.durations();
    if (durations === undefined) return;
    const attributes = { ...this.labels, ...labels };
    if (type !== undefined) attributes['error.type'] = type;
    this.count(attributes, error);
    durations[this.histogram].record(Math.max(0, this.witness.now() - this.startedAt) / 1000, attributes);
  }

  private count(labels: Attributes, error: unknown): void {
    const { startedAt, witness } = this;
    const { 'server.address': host, 'rpc.method': rpc, 'http.request.method': http } = labels;
    const outcome = outcomeIn(labels, error);
    const thrown = isAbort(error) ? undefined : error;
    const operation = rpc === undefined ? String(http) : `/${String(rpc)}`;
    witness.edges.sent({ outcome, error: thrown, startedAt }, String(host ?? unknownService), operation);
  }
}

/** What an answer or its absence says of whoever was asked. */
function outcomeIn(labels: Attributes, error: unknown): Outcome {
  const { 'http.response.status_code': http, 'rpc.response.status_code': rpc } = labels;
  if (isAbort(error)) return 'ignored';
  if (typeof rpc === 'string') return outcomeOf(rpc);
  return typeof http === 'number' ? outcomeOfStatus(http, noHeaders) : 'failure';
}

/** Where a request goes, and what it goes out with. */
export type Addressed = Pick<Departure, 'headers' | 'inner'>;

/** Tells a callee of the same network who calls; a third party has no part in it. */
export function tellCaller({ headers, inner }: Addressed, { caller }: Witness): void {
  if (caller === undefined || !inner) return;
  if (headers.get(serviceNameHeader) === undefined) headers.set(serviceNameHeader, caller);
}

/**
 * Writes trace and caller by replacing: a second `traceparent` would begin a new trace. Ids of a trace say nothing to a third
 * party and join what it answers; baggage, and what else others have registered to be sent, may be of users.
 */
function writeHeaders(within: Context, addressed: Addressed, witness: Witness): void {
  const how = processPropagation();
  if (addressed.inner) sendContext(within, addressed.headers, how);
  else sendSpan(within, addressed.headers, how);
  tellCaller(addressed, witness);
}

/**
 * Makes the span of a request that goes out, and writes its headers. Without a tracer it passes on what the inbound request
 * brought.
 *
 * @param active - the context of whoever sends it
 * @returns `undefined` when somebody else has made the span, and measures
 */
export function depart(departure: Departure, active: Context, witness: Witness): SentRequest | undefined {
  const { headers, labels, measuredBy } = departure;
  const within = callerContext(active);
  if (isSpokenFor(within, headers)) {
    tellCaller(departure, witness);
    // Instrumentations of HTTP measure what they trace, and so does who governs; that of gRPC does not.
    const unmeasured = measuredBy === 'rpcClient' && attemptSpan(within) === undefined;
    return unmeasured ? new SentRequest(undefined, labels, measuredBy, witness) : undefined;
  }
  // Without a tracer a governed client does not say that it is one, but for its headers; it measures by itself.
  const tracer = witness.tracer();
  if (tracer === undefined) {
    if (headers.get(serviceNameHeader) !== undefined) return undefined;
    writeHeaders(within, departure, witness);
    return new SentRequest(undefined, labels, measuredBy, witness);
  }
  const span = tracer.startSpan(departure.name, { kind: SpanKind.CLIENT }, within);
  try {
    writeHeaders(trace.setSpan(within, span), departure, witness);
    if (span.isRecording()) {
      span.setAttributes(labels);
      span.setAttributes(departure.describe());
    }
  } catch (fault) {
    endQuietly(span);
    throw fault;
  }
  return new SentRequest(span, labels, measuredBy, witness);
}

/** The context of the running code, unless nothing that goes out of it is to be traced: what an exporter sends, for example. */
export function departing(): Context | undefined {
  const active = context.active();
  return isSuppressed(active) ? undefined : active;
}
