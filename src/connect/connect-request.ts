import type { ContextValues, StreamResponse } from '@connectrpc/connect';
import type { Outbound, RpcMethod, StreamMethod, UnaryMethod } from './rpc-method.js';
import type { Upload } from './upload.js';

/** What is asked of a client stack of Connect: one call, with all that its caller sends in the course of it. */
export interface ConnectRequest {
  /** What is called, as generated code describes it. */
  readonly method: RpcMethod;
  /** What the caller and the interceptors of its transport leave for each other. */
  readonly contextValues: ContextValues | undefined;
}

/** What all requests of our transport have besides. */
interface Outgoing extends ConnectRequest {
  /** What the caller says: `undefined` for what its transport has by default, 0 or less for none. */
  readonly timeoutMs: number | undefined;
  /** Whether another attempt can send the same. */
  readonly replayable: boolean;
}

/** One message, for which there is one answer. */
export class UnaryOutgoing implements Outgoing {
  readonly replayable = true;
  constructor(
    readonly method: UnaryMethod,
    readonly message: Outbound,
    readonly timeoutMs: number | undefined,
    readonly contextValues: ContextValues | undefined,
  ) {}
}

/** A stream in at least one direction. Its attempts come and go; what the caller sends stays. */
export class StreamOutgoing implements Outgoing {
  /** Told of the headers of an answer that is still to be read. */
  onHeader: ((response: StreamResponse) => void) | undefined = undefined;
  private attempts = 0;
  private committed = false;

  /** @param deadline - for the stream to its end, on the clock's scale; `Infinity` for none */
  constructor(
    readonly method: StreamMethod,
    readonly upload: Upload,
    readonly deadline: number,
    readonly timeoutMs: number | undefined,
    readonly contextValues: ContextValues | undefined,
  ) {}

  /** What a caller goes on writing can be sent by one attempt at a time. */
  get replayable(): boolean {
    return !this.committed && this.upload.intact && (this.upload.whole || this.attempts === 0);
  }
  /** Whether an attempt can send the same once more: it is the only one that does. */
  get resendable(): boolean {
    return !this.committed && this.upload.intact && (this.upload.whole || this.attempts === 1);
  }
  /** Whoever has not sent all may wait for headers before it goes on. Then there will be no other answer. */
  headed(response: StreamResponse): void {
    if (this.upload.whole || this.onHeader === undefined) return;
    this.committed = true;
    this.onHeader(response);
  }
  begun(): void {
    this.attempts++;
  }
  ended(): void {
    this.attempts--;
  }
}

/** A request as our transport makes it. */
export type OutgoingRequest = UnaryOutgoing | StreamOutgoing;

/** @throws TypeError for a request that somebody else made */
export function outgoing(request: ConnectRequest): OutgoingRequest {
  if (request instanceof UnaryOutgoing || request instanceof StreamOutgoing) return request;
  throw new TypeError('a request of a client of Connect has to come from its transport');
}
