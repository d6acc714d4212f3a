import type { InterceptingListener, Metadata, StatusObject, status } from '@grpc/grpc-js';
import type { Outcome } from '../core/outcome.js';
import type { AuthContext } from './wire-call.js';

/**
 * What comes back from a gRPC client stack. If the answer is one message it is complete; a stream has begun, or has ended
 * before it began.
 */
export interface GrpcAnswer {
  /** What came before the first message, if anything did yet. */
  readonly headers: Metadata | undefined;
  /** How it ended, with trailers; `undefined` while it goes on. */
  readonly status: StatusObject | undefined;
  /** The callee cannot have seen the call: there was no connection to it, or it refused before it looked. */
  readonly unseen: boolean;
  /** Who answers, as an address. */
  readonly peer: string | undefined;
  /** Who that has proved to be. */
  readonly authContext: AuthContext;
  /** Tells how the answer ended. @returns `false` when it has: then nobody is told */
  onEnd(told: (outcome: Outcome) => void): boolean;
  /** Hands over what came, and from then on whatever comes. */
  deliver(to: InterceptingListener): void;
  /** Asks for one more message. */
  startRead(): void;
  /** Ends it from this side. */
  cancel(code: status, details: string): void;
}
