import { Metadata, type ServerInterceptingCall, status } from '@grpc/grpc-js';
import { isGovernanceError } from '../core/errors.js';
import type { Outcome } from '../core/outcome.js';
import type { Protocol } from '../core/protocol.js';
import { statusOfError } from './error-status.js';
import { outcomeOfStatus } from './status.js';

/** A status on its way out, as interceptors of grpc-js see it. */
export type ServerStatus = Parameters<ServerInterceptingCall['sendStatus']>[0];

/** What is called. */
export interface GrpcMethod {
  /** `/helloworld.Greeter/SayHello` */
  readonly path: string;
  /** Whether the client may send several messages. */
  readonly requestStream: boolean;
  /** Whether the server may. */
  readonly responseStream: boolean;
}

/** One call on a gRPC server, of any of the four kinds: both what a governed handler is given and what it answers. */
export interface GrpcExchange {
  /** What is called. */
  readonly method: GrpcMethod;
  /** `address:port` of the client's end of the connection; `unknown` if that is not known. */
  readonly peer: string;
  /** What the client sent along; the same object that the handler sees. */
  readonly metadata: Metadata;
  /** How the call ended or is about to, as soon as that is decided. */
  readonly status: ServerStatus | undefined;
  /** Whether the client has everything that it will get. */
  readonly over: boolean;
  /** Runs a function when the call is over. In the order in which they were added. */
  whenOver(run: () => void): void;
}

/** A refusal of the handler's own says nothing of its health either way. */
function outcomeOf({ code, details, metadata }: ServerStatus): Outcome {
  if (code === status.OK) return 'success';
  const outcome = outcomeOfStatus({ code, details, metadata: metadata ?? new Metadata() });
  return outcome === 'overload' ? 'ignored' : outcome;
}

/** That somebody whom the handler called has too much to do is no refusal of its own, though it has the same status. */
function outcomeOfFault(error: unknown): Outcome {
  const end = statusOfError(error);
  const ofCallee = isGovernanceError(error) && error.side === 'client';
  return ofCallee && end.code === status.RESOURCE_EXHAUSTED ? 'failure' : outcomeOf(end);
}

/** Without a status the answer has begun, and nothing is wrong so far. */
function classify(exchange: GrpcExchange): Outcome {
  return exchange.status === undefined ? 'success' : outcomeOf(exchange.status);
}

/** What a server knows of its calls. A call is over when its status was sent, or when the client is gone. */
export const grpcServerProtocol: Protocol<GrpcExchange, GrpcExchange> = {
  classify: (exchange, error) => (exchange === undefined ? outcomeOfFault(error) : classify(exchange)),
  onEnd: (exchange, done) => {
    if (exchange.over) return false;
    exchange.whenOver(() => done(classify(exchange)));
    return true;
  },
};
