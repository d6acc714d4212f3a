import { Code, ConnectError } from '@connectrpc/connect';
import { isGovernanceError } from '../core/errors.js';
import type { Outcome } from '../core/outcome.js';
import type { Protocol } from '../core/protocol.js';
import { outcomeOfCode } from './code.js';
import type { Peer } from './peer.js';
import type { RpcMethod } from './rpc-method.js';

/** One call on a server of Connect, of any of the four kinds: both what a governed handler is given and what it answers. */
export interface ConnectExchange {
  /** What is called. */
  readonly method: RpcMethod;
  /** What the client sent along. */
  readonly header: Headers;
  /** Who sends it; `undefined` without `peerContext`. */
  readonly peer: Peer | undefined;
  /** What went wrong, as soon as that is decided; it decides the code that goes out. */
  readonly error: unknown;
  /** Whether the handler is done, with all messages of its answer, or nobody waits for them. */
  readonly over: boolean;
  /** Runs a function when the call is over. In the order in which they were added. */
  whenOver(run: () => void): void;
}

/** The code that an error of a handler is answered with: its own, that of a refusal, `internal` for anything else. */
export function codeOfError(error: unknown): number {
  if (isGovernanceError(error)) return error.grpcStatus;
  return error instanceof ConnectError ? error.code : Code.Internal;
}

/** Whether the handler failed because its own call to somebody else was refused on this side. */
function cameFromClient(error: unknown): boolean {
  const refused = error instanceof ConnectError ? error.cause : error;
  return isGovernanceError(refused) && refused.side === 'client';
}

/** A refusal of the handler's own says nothing of its health either way. */
function outcomeOf(error: unknown): Outcome {
  if (error === undefined) return 'success';
  const outcome = outcomeOfCode(codeOfError(error));
  if (outcome !== 'overload') return outcome;
  return cameFromClient(error) ? 'failure' : 'ignored';
}

/** What a server knows of its calls. */
export const connectServerProtocol: Protocol<ConnectExchange, ConnectExchange> = {
  classify: (exchange, error) => outcomeOf(exchange === undefined ? error : exchange.error),
  onEnd: (exchange, done) => {
    if (exchange.over) return false;
    exchange.whenOver(() => done(outcomeOf(exchange.error)));
    return true;
  },
};
