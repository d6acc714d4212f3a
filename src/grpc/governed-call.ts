import { type InterceptingListener, Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { cancelSource } from '../core/cancel.js';
import { refusal } from '../core/errors.js';
import { statusForCaller } from './client-error.js';
import type { GrpcAnswer } from './grpc-answer.js';
import type { OutgoingRequest } from './grpc-request.js';
import type { Line } from './line.js';
import type { Method } from './method-table.js';
import type { AuthContext, CallCredentials, MessageContext, WireCall } from './wire-call.js';

/**
 * What a native client drives as if it were a call of grpc-js: it collects what the client sends, has the stack make
 * attempts on real calls, and hands over the answer that the stack settles for.
 *
 * Where the kind of the method is not known it shows: a client that has sent one message, closed, and asked for an answer
 * before that waits for one answer; any other has a stream.
 */
export class GovernedCall implements WireCall, InterceptingListener {
  private readonly cancel = cancelSource();
  private metadata: Metadata = new Metadata();
  private listener: InterceptingListener | undefined = undefined;
  private answer: GrpcAnswer | undefined = undefined;
  private launched = false;
  private over = false;
  /** How it ended before anybody listened. */
  private early: StatusObject | undefined = undefined;
  /** Asked for an answer before it had sent anything. */
  private readsFirst = false;
  private readonly ends: (() => void)[] = [];

  constructor(
    private readonly line: Line,
    private readonly request: OutgoingRequest,
    private readonly method: Method | undefined,
  ) {}

  start(metadata: Metadata, listener: InterceptingListener): void {
    this.metadata = metadata;
    this.listener = listener;
    if (this.early !== undefined) this.tell(this.early);
    // A single message is here in a moment, and with it all that can be known of the call.
    if (this.method?.requestStream !== false) queueMicrotask(() => this.launch());
  }

  sendMessageWithContext(context: MessageContext, message: Buffer): void {
    this.request.outbox.push(context, message);
  }

  halfClose(): void {
    this.request.outbox.close();
    this.launch();
  }

  startRead(): void {
    if (this.request.outbox.count === 0) this.readsFirst = true;
    this.request.readWanted = true;
    if (this.answer === undefined) this.request.read();
    else this.answer.startRead();
  }

  cancelWithStatus(code: status, details: string): void {
    if (this.over) return;
    if (this.answer !== undefined) {
      this.answer.cancel(code, details);
      return;
    }
    const { service } = this.line.parts;
    this.cancel.abort(refusal('CANCELLED', details, { service, side: 'client' }));
    this.finish({ code, details, metadata: new Metadata() });
  }

  setCredentials(credentials: CallCredentials): void {
    this.request.credentials = credentials;
  }

  getPeer(): string {
    return this.answer?.peer ?? this.line.parts.target;
  }
  getAuthContext(): AuthContext {
    return this.answer?.authContext ?? null;
  }
  /** Only written to grpc-js' own traces, where attempts have numbers of their own. */
  getCallNumber(): number {
    return 0;
  }

  /** Runs a function when the call is over. */
  whenOver(run: () => void): void {
    this.ends.push(run);
  }

  onReceiveMetadata(metadata: Metadata): void {
    this.listener?.onReceiveMetadata(metadata);
  }
  onReceiveMessage(message: unknown): void {
    this.listener?.onReceiveMessage(message);
  }
  onReceiveStatus(end: StatusObject): void {
    if (this.over) return;
    this.close();
    this.listener?.onReceiveStatus(end);
  }

  private launch(): void {
    if (this.launched || this.over || this.listener === undefined) return;
    this.launched = true;
    const { request, line, method } = this;
    const seemsSingle = this.readsFirst && request.outbox.whole;
    request.single = method === undefined ? seemsSingle : !method.responseStream && !method.requestStream;
    line.send(request, this.metadata, this.cancel).then(
      (answer) => this.answered(answer),
      (error: unknown) => this.finish(statusForCaller(error)),
    );
  }

  private answered(answer: GrpcAnswer): void {
    if (this.over) {
      answer.cancel(status.CANCELLED, 'Cancelled on client');
      return;
    }
    this.answer = answer;
    this.request.commit(answer);
    // Out of the promise: what a callback of the caller's throws is its own, and not a rejection that nobody sees.
    process.nextTick(() => answer.deliver(this));
  }

  /** Ends without an answer. */
  private finish(end: StatusObject): void {
    if (this.over) return;
    this.close();
    if (this.listener === undefined) this.early = end;
    else this.tell(end);
  }

  private tell(end: StatusObject): void {
    process.nextTick(() => this.listener?.onReceiveStatus(end));
  }

  private close(): void {
    this.over = true;
    this.request.outbox.end();
    for (const run of this.ends.splice(0)) run();
  }
}
