import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type Context,
  context,
  diag,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
} from '@opentelemetry/api';
import { type Call, createCall, nameOperation } from '../core/call.js';
import { trustedPeer } from '../core/trust.js';
import { keepContext } from '../http/body-context.js';
import { exchangeProtocol, type HttpExchange } from '../http/exchange.js';
import { closeWithConnection } from '../http/in-line.js';
import { inboundHeaders } from '../http/inbound.js';
import { closeWithStream } from '../http/lost-stream.js';
import { servedCall, wasTurnedAway } from '../http/served-call.js';
import { wentOut } from '../http/server-response.js';
import { httpServerSemantics as semantics } from '../telemetry/http-server-semantics.js';
import { isSuppressed, requestSpan } from '../telemetry/open-telemetry.js';
import { receivedContext } from '../telemetry/propagation.js';
import { callerOf } from '../telemetry/service-name.js';
import { carriedSpan } from './carried-span.js';
import { endQuietly } from './end-quietly.js';
import { keepGrpcContextOnce } from './grpc-queue.js';
import { expressRoute } from './route-of.js';
import { RequestMetadata, servingContext } from './rpc-context.js';
import type { Witness } from './witness.js';

/** What is known of a request before anybody has looked at it. Its headers are those of a call that keelson serves. */
function callOf(req: IncomingMessage, witness: Witness): Call {
  const call = createCall({
    side: 'server',
    service: witness.service,
    operation: req.method ?? 'GET',
    headers: inboundHeaders(req),
  });
  if (witness.trusts(req)) call.values.set(trustedPeer, true);
  return call;
}

/** A request on a server, from the moment that Node tells of it until its response is closed. */
class ServedRequest implements HttpExchange {
  private over = false;
  private readonly startedAt: number;

  constructor(
    readonly req: IncomingMessage,
    readonly res: ServerResponse,
    private readonly call: Call,
    private readonly metadata: RequestMetadata,
    private readonly witness: Witness,
  ) {
    this.startedAt = witness.now();
    closeWithConnection(req, res);
    closeWithStream(res);
    res.on('close', () => this.end());
  }

  describe(): void {
    const { span } = this.metadata;
    if (!span.isRecording()) return;
    span.setAttributes(semantics.requestAttributes(this, this.call));
    const caller = callerOf(this.call);
    if (caller !== undefined) span.setAttribute('service.peer.name', caller);
  }

  /** Then whoever governs it measures it. */
  private get isGoverned(): boolean {
    const { req, res, metadata } = this;
    if (metadata.adopted === true || servedCall(req) !== undefined) return true;
    return wasTurnedAway((res as { readonly stream?: object }).stream ?? req);
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    try {
      this.name();
      this.judge();
      if (!this.isGoverned) this.measure();
    } catch (fault) {
      diag.error('keelson: the end of a request could not be told', fault);
    }
    endQuietly(this.metadata.span);
  }

  /** Frameworks route long after the span has begun. */
  private name(): void {
    const route = this.metadata.route ?? expressRoute(this.req);
    if (route !== undefined) nameOperation(this.call, `${this.req.method ?? 'GET'} ${route}`);
  }

  private judge(): void {
    const { res, call } = this;
    const { span, adopted } = this.metadata;
    if (!span.isRecording()) return;
    span.updateName(semantics.spanName(this, call));
    if (res.headersSent) span.setAttributes(semantics.responseAttributes(this, call));
    // Who governs has said more of its errors than a status can.
    if (adopted === true) return;
    if (!wentOut(res)) span.setAttribute('keelson.outcome', 'ignored');
    const type = semantics.errorType(this);
    if (type === undefined) return;
    span.setAttribute('error.type', type);
    span.setStatus({ code: SpanStatusCode.ERROR });
  }

  private measure(): void {
    const durations = this.witness.durations();
    if (durations === undefined) return;
    const attributes = semantics.durationAttributes(this, this, this.call);
    attributes['service.peer.name'] = this.witness.callerOf(this.call);
    const type = semantics.errorType(this);
    if (type !== undefined) attributes['error.type'] = type;
    const { startedAt } = this;
    this.witness.edges.served({ outcome: exchangeProtocol.classify(this, undefined), startedAt }, this.call);
    durations.server.record(Math.max(0, this.witness.now() - this.startedAt) / 1000, attributes);
  }
}

/**
 * Opens the record of a request on a server.
 *
 * @returns the context in which it is to be served; `undefined` when there is nothing to do, or somebody else has a span
 */
export function openRequest(
  req: IncomingMessage,
  res: ServerResponse,
  witness: Witness,
): Context | undefined {
  const active = context.active();
  if (isSuppressed(active) || requestSpan(active) !== undefined) return undefined;
  keepGrpcContextOnce();
  const tracer = witness.tracer();
  const call = callOf(req, witness);
  const parent = receivedContext(call, ROOT_CONTEXT);
  const span =
    tracer === undefined
      ? carriedSpan(parent)
      : tracer.startSpan(semantics.spanName({ req, res }, call), { kind: SpanKind.SERVER }, parent);
  const metadata = new RequestMetadata(span);
  // A span without ids, and nothing else that was received: a context would say nothing that is not said without it.
  const silent = parent === ROOT_CONTEXT && !span.isRecording() && !isSpanContextValid(span.spanContext());
  if (silent && witness.durations() === undefined) return undefined;
  // Of what is neither recorded nor measured there is nothing to tell at its end.
  if (span.isRecording() || witness.durations() !== undefined)
    new ServedRequest(req, res, call, metadata, witness).describe();
  return silent ? undefined : servingContext(parent, metadata);
}

/** Has all that listens to a request run in its context, also what listens to its body. */
export function serveWithin(within: Context, req: IncomingMessage, run: () => boolean): boolean {
  return context.with(within, () => {
    keepContext(req);
    return run();
  });
}
