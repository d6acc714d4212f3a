import type { ConnectError, StreamResponse, UnaryResponse } from '@connectrpc/connect';

/**
 * What comes back from a client stack of Connect: a response, an error, or first one and then the other. One of a stream
 * that has begun goes on.
 */
export interface ConnectAnswer {
  /** As the transport gave it, if it did. The messages of a stream are their reader's. */
  readonly response: UnaryResponse | StreamResponse | undefined;
  /** How it failed, as soon as it has. */
  readonly error: ConnectError | undefined;
  /** The callee cannot have seen the call: there was no connection to it, or it refused before it looked. */
  readonly unseen: boolean;
}
