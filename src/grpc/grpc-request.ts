import type { GrpcAnswer } from './grpc-answer.js';
import type { Feed, Outbox } from './outbox.js';
import type { CallCredentials } from './wire-call.js';

/** What is asked of a gRPC client stack: one call, with all that its caller sends in the course of it. */
export interface GrpcRequest {
  /** `/helloworld.Greeter/SayHello`. */
  readonly path: string;
  /** In place of the endpoint's own authority. */
  readonly host: string | null | undefined;
  /** Credentials of this one call. */
  readonly credentials: CallCredentials | undefined;
}

/** An answer that may come, and what of the caller's messages it has taken. */
interface Candidate extends GrpcAnswer {
  readonly feed: Feed;
}

/** A request as our channel makes it. Its attempts come and go; the caller's messages and its wish to read stay. */
export class OutgoingRequest implements GrpcRequest {
  credentials: CallCredentials | undefined = undefined;
  /** The answer is one message: it counts when it is complete, not when it begins. */
  single = false;
  /** Whether the caller has asked for a message. */
  readWanted = false;
  /** Those under way, while none is chosen. */
  private attempts: Candidate[] = [];
  /** Whether the last attempt that ended was one that its callee cannot have seen. */
  private unseen = false;

  /** @param deadline - for the whole call, its stream included; milliseconds since 1970, or `Infinity` */
  constructor(
    readonly path: string,
    readonly host: string | null | undefined,
    readonly deadline: number,
    readonly outbox: Outbox,
  ) {}

  /** Whether another attempt can send the same. A stream that is still being written only if nobody has seen any of it. */
  get replayable(): boolean {
    return this.outbox.intact && (this.outbox.whole || this.unseen);
  }

  read(): void {
    for (const attempt of this.attempts) attempt.startRead();
  }

  begun(attempt: Candidate): void {
    this.attempts.push(attempt);
    this.unseen = false;
  }

  ended(attempt: Candidate): void {
    this.unseen = attempt.unseen;
    this.attempts = this.attempts.filter((other) => other !== attempt);
  }

  /** One is chosen: there will be no other. */
  commit(answer: GrpcAnswer): void {
    const chosen = this.attempts.find((attempt) => attempt === answer);
    this.attempts = [];
    if (chosen !== undefined) this.outbox.commit(chosen.feed);
  }
}
