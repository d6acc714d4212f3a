import {
  type Channel,
  type InterceptingListener,
  type Metadata,
  type StatusObject,
  status,
} from '@grpc/grpc-js';
import type { Call } from '../core/call.js';
import { isGovernanceError, refusal } from '../core/errors.js';
import type { Outcome } from '../core/outcome.js';
import {
  formatTied,
  parseTiedState,
  type TiedCopy,
  type TiedState,
  tiedCopies,
  tiedHeader,
} from '../core/tied-copy.js';
import { attemptDeadline, attemptMetadata } from './attempt-start.js';
import { Audience } from './audience.js';
import type { GrpcAnswer } from './grpc-answer.js';
import type { OutgoingRequest } from './grpc-request.js';
import { outcomeOfEnd, wasUnseen } from './local-status.js';
import type { Feed } from './outbox.js';
import type { AuthContext, WireCall } from './wire-call.js';

/** Whom the first sign of an answer is told, or that the caller gave up. */
export interface Settling {
  readonly resolve: (answer: GrpcAnswer) => void;
  readonly reject: (reason: unknown) => void;
}

function stateIn(metadata: Metadata): TiedState | undefined {
  const [told] = metadata.get(tiedHeader);
  return typeof told === 'string' ? parseTiedState(told) : undefined;
}

/** One try of a call on one endpoint's channel, and the answer that it brings. */
export class Attempt implements GrpcAnswer, InterceptingListener {
  headers: Metadata | undefined = undefined;
  status: StatusObject | undefined = undefined;
  unseen = false;
  /** What of the caller's messages this attempt has taken. */
  readonly feed: Feed;
  private readonly real: WireCall;
  private readonly audience: Audience;
  /** What came before anybody listened: one message at most for each read, so two at most. */
  private readonly early: unknown[] = [];
  private readonly ends: ((outcome: Outcome) => void)[] = [];
  private cancelled = false;
  private unhook: (() => void) | undefined;
  /** What is tied to it, if anything is. */
  private copy: TiedCopy | undefined = undefined;

  constructor(
    private readonly channel: Channel,
    private readonly request: OutgoingRequest,
    private readonly settling: Settling,
    call: Call,
  ) {
    const { path, host, credentials, outbox } = request;
    this.real = channel.createCall(path, attemptDeadline(request, call), host, null, undefined);
    if (credentials !== undefined) this.real.setCredentials(credentials);
    this.feed = outbox.feedTo(this.real);
    this.audience = new Audience(this);
  }

  start(call: Call): void {
    const { real, request } = this;
    this.tie(call);
    request.begun(this);
    real.start(attemptMetadata(call), this);
    this.unhook = call.cancel.onAbort(() => this.abandon(call.cancel.reason));
    this.feed.pump();
    if (request.readWanted) real.startRead();
  }

  get peer(): string {
    return this.real.getPeer();
  }
  get authContext(): AuthContext {
    // Not there before 1.13.
    return this.real.getAuthContext?.() ?? null;
  }

  onReceiveMetadata(headers: Metadata): void {
    this.headers = headers;
    if (this.copy !== undefined && stateIn(headers) === 'started') this.copy.heard();
    this.audience.listener?.onReceiveMetadata(headers);
    if (!this.request.single) this.settling.resolve(this);
  }

  onReceiveMessage(message: unknown): void {
    if (this.audience.open) {
      this.audience.take()?.onReceiveMessage(message);
      return;
    }
    this.early.push(message);
    if (!this.request.single) return;
    // The end comes only to whoever asks for more; should more come instead, this is a stream after all.
    if (this.early.length === 1) this.real.startRead();
    else this.settling.resolve(this);
  }

  onReceiveStatus(end: StatusObject): void {
    if (this.status !== undefined) return;
    this.status = end;
    this.unhook?.();
    const away = this.copy && stateIn(end.metadata);
    if (away !== undefined) this.copy?.turnedAway(away);
    this.feed.stop();
    this.unseen = this.headers === undefined && wasUnseen(end, this.peer, this.channel);
    this.request.ended(this);
    this.settling.resolve(this);
    for (const tell of this.ends.splice(0)) tell(this.outcome);
    this.audience.close()?.onReceiveStatus(end);
  }

  onEnd(told: (outcome: Outcome) => void): boolean {
    if (this.status === undefined) this.ends.push(told);
    return this.status === undefined;
  }

  deliver(to: InterceptingListener): void {
    const { headers, status: end } = this;
    // Whoever has sent all and asks for no answer reads nothing.
    const reads = this.request.readWanted || !this.request.outbox.closed;
    if (end === undefined) this.audience.admit(to, reads && this.early.length === 0);
    if (headers !== undefined) to.onReceiveMetadata(headers);
    for (const message of this.early.splice(0)) to.onReceiveMessage(message);
    if (end !== undefined) to.onReceiveStatus(end);
  }

  startRead(): void {
    this.audience.await();
    this.real.startRead();
  }

  cancel(code: status, details: string): void {
    if (this.status !== undefined) return;
    this.cancelled = true;
    this.real.cancelWithStatus(code, details);
    // In the moment of its start grpc-js does not hear a cancel: the call would go out, and be open for ever.
    setImmediate(() => this.real.cancelWithStatus(code, details));
  }

  private tie({ attempt, headers, values }: Call): void {
    const copy = values.get(tiedCopies)?.(attempt);
    if (copy === undefined) return;
    headers.set(tiedHeader, formatTied(copy));
    // Its stream can be reset, but nothing asked about it, so it cannot wait to be let.
    if (!copy.carried(undefined))
      throw refusal('CANCELLED', 'a copy that has to be let cannot go out over gRPC');
    this.copy = copy;
  }

  /** The caller gave up, or its time is over, or another attempt won. */
  private abandon(reason: unknown): void {
    const refused = isGovernanceError(reason) ? reason : undefined;
    this.cancel(refused?.grpcStatus ?? status.CANCELLED, refused?.message ?? 'Cancelled on client');
    this.settling.reject(reason);
  }

  /** How it ended for whoever has seen it begin: what ended it here, or when its time was over, is not the callee's fault. */
  private get outcome(): Outcome {
    const end = this.status;
    if (end === undefined) return 'success';
    return this.cancelled || end.code === status.DEADLINE_EXCEEDED ? 'ignored' : outcomeOfEnd(end);
  }
}
