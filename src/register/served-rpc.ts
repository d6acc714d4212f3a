import type { IncomingMessage } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import {
  type Attributes,
  type Context,
  context,
  diag,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
} from '@opentelemetry/api';
import { type Call, createCall, nameOperation } from '../core/call.js';
import { trustedPeer } from '../core/trust.js';
import { wasTurnedAway } from '../http/served-call.js';
import { isSuppressed, requestSpan } from '../telemetry/open-telemetry.js';
import { receivedContext } from '../telemetry/propagation.js';
import { callerOf } from '../telemetry/service-name.js';
import { carriedSpan } from './carried-span.js';
import { endQuietly } from './end-quietly.js';
import { grpcServersTraced } from './grpc-classes.js';
import { keepGrpcContextOnce } from './grpc-queue.js';
import { grpcStatus, type Http2Headers, isGrpc, isServerFault, outcomeOf } from './grpc-status.js';
import { streamHeaders } from './http2-headers.js';
import { RequestMetadata, servingContext } from './rpc-context.js';
import { KnownMethods, otherMethod } from './rpc-name.js';
import type { Witness } from './witness.js';

/** What Node keeps of what went out on a stream. */
interface Sent {
  readonly sentHeaders?: Http2Headers;
  readonly sentTrailers?: Http2Headers;
}

const methods = new KnownMethods();

function callOf(stream: ServerHttp2Stream, headers: Http2Headers, witness: Witness): Call {
  const call = createCall({
    side: 'server',
    service: witness.service,
    operation: String(headers[':path'] ?? '/'),
    headers: streamHeaders(headers),
  });
  const socket = stream.session?.socket;
  if (socket !== undefined && witness.trusts({ socket } as IncomingMessage))
    call.values.set(trustedPeer, true);
  return call;
}

/** A call of gRPC on a server, from the moment that Node tells of its stream until that is closed. */
class ServedRpc {
  private over = false;
  private readonly startedAt: number;
  private readonly method: string;

  constructor(
    private readonly stream: ServerHttp2Stream,
    private readonly call: Call,
    private readonly metadata: RequestMetadata,
    private readonly witness: Witness,
  ) {
    this.startedAt = witness.now();
    this.method = call.operation.slice(1);
    stream.on('close', () => this.end());
  }

  describe(): void {
    const { span } = this.metadata;
    if (!span.isRecording()) return;
    span.setAttributes({ 'rpc.system.name': 'grpc', 'rpc.method': this.method });
    const caller = callerOf(this.call);
    if (caller !== undefined) span.setAttribute('service.peer.name', caller);
    const address = this.stream.session?.socket?.remoteAddress;
    if (address !== undefined)
      span.setAttributes({ 'client.address': address, 'network.peer.address': address });
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    try {
      // Who governs the call has named its span, judged it and measured it.
      if (this.metadata.adopted !== true) this.judge();
    } catch (fault) {
      diag.error('keelson: the end of a call could not be told', fault);
    }
    endQuietly(this.metadata.span);
  }

  private judge(): void {
    const { call, metadata, witness, method } = this;
    const { sentTrailers, sentHeaders } = this.stream as Sent;
    const status = grpcStatus([sentTrailers, sentHeaders], this.stream.rstCode);
    const answered = sentHeaders !== undefined && isGrpc(sentHeaders);
    const name = methods.nameOf(method, answered && status !== 'UNIMPLEMENTED');
    const ended: Attributes = { 'rpc.method': name, 'rpc.response.status_code': status };
    if (isServerFault(status)) ended['error.type'] = status;
    this.write(metadata.span, ended, name);
    const durations = witness.durations();
    // Whoever turned it away has counted it, but heard of no span.
    if (durations === undefined || wasTurnedAway(this.stream)) return;
    const { startedAt } = this;
    const outcome = outcomeOf(status);
    if (name === otherMethod) nameOperation(call, name);
    // A refusal of the handler's own says nothing of its health.
    witness.edges.served({ outcome: outcome === 'overload' ? 'ignored' : outcome, startedAt }, call);
    const labels = { 'rpc.system.name': 'grpc', 'service.peer.name': witness.callerOf(call), ...ended };
    durations.rpcServer.record(Math.max(0, witness.now() - startedAt) / 1000, labels);
  }

  private write(span: Span, ended: Attributes, name: string): void {
    if (!span.isRecording()) return;
    span.setAttributes(ended);
    if (ended['error.type'] !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
    if (name !== otherMethod) return;
    span.updateName('grpc');
    span.setAttribute('rpc.method_original', this.method);
  }
}

/**
 * Opens the record of a call of gRPC on a server. Where an instrumentation makes the span of it, which it does within the
 * handler and from nothing but the metadata, the call is measured all the same.
 *
 * @returns the context in which it is to be served; `undefined` when there is nothing to do, or somebody else has a span
 */
export function openRpc(
  stream: ServerHttp2Stream,
  headers: Http2Headers,
  witness: Witness,
): Context | undefined {
  const active = context.active();
  if (isSuppressed(active) || requestSpan(active) !== undefined) return undefined;
  keepGrpcContextOnce();
  const call = callOf(stream, headers, witness);
  const parent = receivedContext(call, ROOT_CONTEXT);
  const tracer = grpcServersTraced(witness.now()) ? undefined : witness.tracer();
  if (tracer === undefined && parent === ROOT_CONTEXT && witness.durations() === undefined) return undefined;
  const span =
    tracer === undefined
      ? carriedSpan(parent)
      : tracer.startSpan(call.operation.slice(1), { kind: SpanKind.SERVER }, parent);
  const metadata = new RequestMetadata(span);
  new ServedRpc(stream, call, metadata, witness).describe();
  return servingContext(parent, metadata);
}
