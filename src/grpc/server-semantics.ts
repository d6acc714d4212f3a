import { Server, status } from '@grpc/grpc-js';
import type { Semantics } from '../telemetry/semantics.js';
import { statusOfError } from './error-status.js';
import type { GrpcExchange } from './exchange.js';
import { addressOf, portOf } from './peer.js';
import { statusName } from './status.js';

/** The statuses that are a fault of the server; the others are answers that the client may have asked for. */
const faults: ReadonlySet<number> = new Set([
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.UNIMPLEMENTED,
  status.INTERNAL,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

const methodOf = ({ method: { path } }: GrpcExchange): string => path.slice(1);

/** A call without a status so far can only be told of while it goes on, and then it goes well. */
const codeOf = (exchange: GrpcExchange): number => exchange.status?.code ?? status.OK;

const attributesOf = (exchange: GrpcExchange) => ({
  'rpc.system.name': 'grpc',
  'rpc.method': methodOf(exchange),
});

/** Registered with an instrumentation of grpc-js every handler makes the span of its call. */
const isInstrumented = (): boolean =>
  (Server.prototype.register as { __wrapped?: unknown }).__wrapped === true;

const statusAttributes = (code: number) => ({ 'rpc.response.status_code': statusName(code) });

/**
 * The semantic conventions for gRPC servers (release candidate of 2026): names of spans, attributes, measurements.
 *
 * UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS are errors of the server.
 */
export const grpcServerSemantics: Semantics<GrpcExchange, GrpcExchange> = {
  spanName: methodOf,
  requestAttributes: (exchange) => {
    const address = addressOf(exchange.peer);
    const port = portOf(exchange.peer);
    return {
      ...attributesOf(exchange),
      ...(address === undefined ? {} : { 'client.address': address, 'network.peer.address': address }),
      ...(port === undefined ? {} : { 'network.peer.port': port }),
    };
  },
  responseAttributes: (exchange) => statusAttributes(codeOf(exchange)),
  errorAttributes: (error) => statusAttributes(statusOfError(error).code),
  errorType: (exchange) => (faults.has(codeOf(exchange)) ? statusName(codeOf(exchange)) : undefined),
  activeAttributes: attributesOf,
  durationAttributes: (exchange, response) => ({
    ...attributesOf(exchange),
    ...(response === undefined ? {} : statusAttributes(codeOf(response))),
  }),
  duration: {
    name: 'rpc.server.call.duration',
    description: 'Duration of inbound remote procedure calls.',
    unit: 's',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
  },
  instrumented: isInstrumented,
};
