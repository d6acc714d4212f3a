import { AsyncResource } from 'node:async_hooks';
import { Metadata, type ServerInterceptingCallInterface, status } from '@grpc/grpc-js';
import type { Call } from '../core/call.js';
import { cancelSource } from '../core/cancel.js';
import type { Clock } from '../core/clock.js';
import { type GovernanceError, type RejectionCode, refusal } from '../core/errors.js';
import { type Handler, invoke } from '../core/handler.js';
import { handlerError } from '../core/handler-error.js';
import { callOver } from '../core/over.js';
import { retriedBelow } from '../core/retried-below.js';
import { noticeStart } from '../core/start-notice.js';
import { trustedPeer } from '../core/trust.js';
import { callKey } from '../core/values.js';
import type { LoadTeller } from '../http/load-teller.js';
import { Alarm } from './alarm.js';
import { ownTrailers, statusOfError, wellFormed } from './error-status.js';
import type { GrpcExchange, GrpcMethod, ServerStatus } from './exchange.js';
import { withLoad, withoutLoad } from './load-trailers.js';
import { StartTeller } from './start-teller.js';
import { notAgain, pushbackKey } from './status.js';
import type { TiedCalls } from './tied-calls.js';

/** What all calls of one governed server have in common. */
export interface InboundParts {
  readonly clock: Clock;
  /** Makes the call of an exchange whose metadata is there. */
  readonly open: (exchange: InboundCall) => Call;
  /** The server stack; its innermost handler is {@link InboundCall.run}. */
  readonly stack: Handler<GrpcExchange, GrpcExchange>;
  /** Told of errors that nobody waits for any more. */
  readonly tell: (error: unknown, call: Call) => void;
  readonly requestTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly abandonedMs: number;
  /** Writes what is told of the load; `undefined` where nobody is told. */
  readonly teller: LoadTeller | undefined;
  /** The copies of tied calls that came here; `undefined` where none are known as such. */
  readonly tied: TiedCalls | undefined;
}

/** What grpc-js tells of what comes in: the handler, and the interceptors between it and us. */
export type InnerListener = Parameters<ServerInterceptingCallInterface['start']>[0];

/** Whoever waits for the handler's answer. */
interface Waiting {
  readonly resolve: (exchange: GrpcExchange) => void;
  readonly reject: (error: unknown) => void;
}

/** The client's own timer may end a call this much before ours rings; milliseconds. */
const deadlineSlackMs = 10;

/** The calls that handlers are at, by what grpc-js shows them of each. */
export const inboundByMetadata = new WeakMap<Metadata, InboundCall>();
/** The exchange of a call. */
export const inboundKey = callKey<InboundCall>('keelson.grpc.inbound');

/**
 * One call on a gRPC server, seen from between the wire and the handler: what comes in is held back until the stack lets
 * the call in, so that of a refused one no message is read; what goes out tells when it is answered and how it ended.
 *
 * It is answered with its first message (of a method that answers with a stream: also with its metadata), or its status.
 * It is over when the status went out, or nothing can.
 */
export class InboundCall implements GrpcExchange {
  readonly cancel = cancelSource();
  metadata: Metadata = new Metadata();
  status: ServerStatus | undefined = undefined;
  over = false;
  /** The call as the handler sees it, with all deadlines; `undefined` until it was let in. */
  call: Call | undefined = undefined;
  private outer: Call | undefined = undefined;
  private inner: InnerListener | undefined = undefined;
  private waiting: Waiting | undefined = undefined;
  private headed = false;
  /** Tells of the start; `undefined` when nobody wants to know. */
  private startTeller: StartTeller | undefined = undefined;
  private working = false;
  private failing = false;
  private scope: AsyncResource | undefined = undefined;
  private alarm: Alarm | undefined = undefined;
  private stall: Alarm | undefined = undefined;
  private readonly ends: (() => void)[] = [];

  constructor(
    readonly wire: ServerInterceptingCallInterface,
    readonly method: GrpcMethod,
    private readonly parts: InboundParts,
  ) {}

  get peer(): string {
    return this.wire.getPeer();
  }

  /** What the client's own deadline leaves, in milliseconds; `Infinity` without one. */
  get leftMs(): number {
    return Number(this.wire.getDeadline()) - Date.now();
  }

  whenOver(run: () => void): void {
    this.ends.push(run);
  }

  start(inner: InnerListener): void {
    this.inner = inner;
    // Of a call whose client is gone already nothing is told, not even its end: it begins with its metadata.
    this.wire.start({
      onReceiveMetadata: (metadata) => this.begin(metadata),
      onReceiveMessage: (message) => this.within(() => inner.onReceiveMessage(message)),
      onReceiveHalfClose: () => {
        if (!this.method.requestStream) this.alarm?.cancel();
        this.within(() => inner.onReceiveHalfClose());
      },
      onCancel: () => this.closed(),
    });
  }

  sendMetadata(metadata: Metadata): void {
    const { responseStream } = this.method;
    if (responseStream) this.answered();
    if (this.deaf) return;
    this.headed = true;
    // Whoever waits for the end of a stream to hear of the load has chosen by then for a long time.
    const headers = responseStream ? this.withLoad(metadata) : withoutLoad(metadata);
    const sent = this.startTeller === undefined ? headers : this.startTeller.headers(headers);
    if (sent !== undefined) this.wire.sendMetadata(sent);
  }

  sendMessage(message: unknown, sent: () => void): void {
    this.answered();
    if (this.deaf) return;
    // grpc-js sends empty ones by itself, and past us.
    const tells = this.startTeller !== undefined || (this.method.responseStream && this.tellsLoad);
    if (tells && !this.headed) this.sendMetadata(new Metadata());
    this.wire.sendMessage(message, this.watched(sent));
  }

  sendStatus(given: ServerStatus): void {
    if (!this.deaf) {
      const { code, metadata } = given;
      this.end(code === status.OK ? given : { ...given, metadata: ownTrailers(metadata) });
      if (code === status.UNKNOWN) this.answeredUnknown(given);
    }
    this.answered();
  }

  /** Gives the call to grpc-js, that is to the handler. The innermost handler of the stack. */
  run(call: Call): Promise<GrpcExchange> {
    return new Promise((resolve, reject) => {
      if (call.cancel.aborted) {
        reject(call.cancel.reason);
        return;
      }
      this.waiting = { resolve, reject };
      this.call = call;
      inboundByMetadata.set(this.metadata, this);
      call.values.set(inboundKey, this);
      // A handler of one request runs when that is there, out of an event of the connection, which knows no call.
      this.scope = new AsyncResource('keelson.grpc');
      if (!this.method.requestStream) this.awaitRequest();
      noticeStart(call);
      this.within(() => this.inner?.onReceiveMetadata(this.metadata));
    });
  }

  /** The handler works on this until it settles, also when its client is gone. */
  worksOn(task: PromiseLike<unknown>): void {
    this.working = true;
    const stop = (): void => {
      this.working = false;
      if (this.over) this.answered();
    };
    task.then(stop, stop);
  }

  /** The handler failed. Before it has answered, the stack decides what is answered. */
  fail(error: unknown): void {
    const { waiting, call } = this;
    if (call === undefined) return;
    if (waiting === undefined && !this.method.responseStream) {
      // One answer, and it is on its way.
      this.parts.tell(error, call);
      return;
    }
    this.failing = true;
    this.waiting = undefined;
    this.alarm?.cancel();
    // Whoever cancelled has turned away: the rejection may be heard by nobody.
    if (waiting === undefined || call.cancel.aborted) this.failedLate(error, call);
    waiting?.reject(error);
  }

  /** The handler has let go of its stream, which nobody can end any more. */
  forsake(): void {
    if (!this.deaf) this.fail(new Error(`${this.method.path}: the stream was destroyed before its end`));
  }

  /** Answers in the handler's place. What it still sends has no effect. */
  answer(error: unknown): void {
    if (!this.ended) this.end(statusOfError(error));
  }

  /** Whether nothing can be sent any more. */
  private get ended(): boolean {
    return this.over || this.status !== undefined;
  }

  /** Whether what the handler sends has no effect: somebody answers in its place, or has. */
  private get deaf(): boolean {
    return this.failing || this.ended;
  }

  private end(given: ServerStatus): void {
    const metadata = this.withPushback(given.code, this.withLoad(given.metadata));
    this.status = {
      ...given,
      details: wellFormed(given.details),
      metadata: this.startTeller === undefined ? metadata : this.startTeller.trailers(metadata),
    };
    this.wire.sendStatus(this.status);
  }

  /** What failed below this server was retried there, and clients of gRPC heed that as well. */
  private withPushback<Given extends Metadata | null | undefined>(
    code: status,
    given: Given,
  ): Given | Metadata {
    if (code === status.OK || !retriedBelow(this.outer)) return given;
    const told = typeof given?.clone === 'function' ? given.clone() : new Metadata();
    told.set(pushbackKey, notAgain);
    return told;
  }

  private withLoad<Given extends Metadata | null | undefined>(given: Given): Given | Metadata {
    const { teller } = this.parts;
    return teller !== undefined && this.tellsLoad
      ? withLoad(given, teller, this.metadata)
      : withoutLoad(given);
  }

  /** Whether this client is told how loaded the server is. */
  private get tellsLoad(): boolean {
    return this.parts.teller?.tells(this.outer?.values.get(trustedPeer) === true) === true;
  }

  private begin(metadata: Metadata): void {
    this.metadata = metadata;
    this.outer = this.parts.open(this);
    const tied = this.parts.tied?.enter(this, this.outer);
    if (tied !== undefined && !(tied instanceof StartTeller)) {
      this.end(tied);
      return;
    }
    this.startTeller = tied;
    invoke(this.parts.stack, this, this.outer).catch((error: unknown) => this.answer(error));
  }

  /** What is read ahead may still come when all is over. */
  private within(run: () => void): void {
    if (!this.over) this.scope?.runInAsyncScope(run);
  }

  private awaitRequest(): void {
    const { clock, requestTimeoutMs } = this.parts;
    if (requestTimeoutMs === Number.POSITIVE_INFINITY) return;
    this.alarm = new Alarm(clock, requestTimeoutMs, () =>
      this.cut('CANCELLED', `the request did not arrive within ${requestTimeoutMs} ms`),
    );
  }

  private answered(): void {
    const { waiting } = this;
    if (waiting === undefined) return;
    this.waiting = undefined;
    this.alarm?.cancel();
    waiting.resolve(this);
    if (!this.over) this.expireAtDeadline();
  }

  /**
   * grpc-js ends a call at its deadline by a status after the messages that wait to be sent. Where the client has stopped
   * to read, that is never.
   */
  private expireAtDeadline(): void {
    const { leftMs } = this;
    if (leftMs === Number.POSITIVE_INFINITY) return;
    this.alarm = new Alarm(this.parts.clock, leftMs, () =>
      this.cut('DEADLINE_EXCEEDED', 'the answer was not taken by the deadline'),
    );
  }

  private watched(sent: () => void): () => void {
    const { clock, stallTimeoutMs } = this.parts;
    if (stallTimeoutMs === Number.POSITIVE_INFINITY) return sent;
    const stall = new Alarm(clock, stallTimeoutMs, () =>
      this.cut('CANCELLED', `the client took no message for ${stallTimeoutMs} ms`),
    );
    this.stall = stall;
    return () => {
      stall.cancel();
      sent();
    };
  }

  /** Ends a call whose client does not do its part. */
  private cut(code: RejectionCode, why: string): void {
    if (this.over) return;
    const reason = this.refused(code, why);
    this.answer(reason);
    this.finish(reason);
  }

  /** The wire says that nothing can be sent any more, be it because all was. */
  private closed(): void {
    if (this.over) return;
    if (this.status !== undefined) this.finish(undefined);
    else if (this.leftMs <= deadlineSlackMs) this.finish(this.refused('DEADLINE_EXCEEDED', 'time is over'));
    else this.finish(this.refused('CANCELLED', 'the client went away, or broke the rules'));
  }

  private refused(code: RejectionCode, why: string): GovernanceError {
    const service = this.outer?.service;
    return refusal(code, `${this.method.path}: ${why}`, { service, side: 'server' });
  }

  private finish(reason: GovernanceError | undefined): void {
    const { inner, scope } = this;
    this.over = true;
    this.alarm?.cancel();
    this.stall?.cancel();
    if (reason !== undefined) {
      this.status ??= statusOfError(reason);
      this.cancel.abort(reason);
    }
    this.outer?.values.set(callOver, true);
    for (const run of this.ends) {
      try {
        run();
      } catch {
        // A gate of the user's: the others have to be told, and nobody waits for this one.
      }
    }
    this.leave();
    scope?.runInAsyncScope(() => inner?.onCancel());
  }

  /** A handler that goes on after its client has gone counts as long as it does; but not for ever. */
  private leave(): void {
    const { clock, abandonedMs } = this.parts;
    if (this.working && this.waiting) this.alarm = new Alarm(clock, abandonedMs, () => this.answered());
    else this.answered();
  }

  private failedLate(error: unknown, call: Call): void {
    if (!this.ended) {
      call.values.set(handlerError, error);
      this.answer(error);
    }
    this.parts.tell(error, call);
  }

  /** grpc-js makes this of an error without a status, and keeps the error to itself. */
  private answeredUnknown({ details }: ServerStatus): void {
    const { call } = this;
    if (call === undefined) return;
    const error = new Error(`${this.method.path} answered UNKNOWN: ${details}`);
    call.values.set(handlerError, error);
    this.parts.tell(error, call);
  }
}
