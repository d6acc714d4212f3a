import { Client, status } from '@grpc/grpc-js';
import type { Attributes, Span } from '@opentelemetry/api';
import type { Call } from '../core/call.js';
import type { Semantics } from '../telemetry/semantics.js';
import { statusForCaller } from './client-error.js';
import type { GrpcAnswer } from './grpc-answer.js';
import type { GrpcRequest } from './grpc-request.js';
import { addressOf, portOf } from './peer.js';
import { statusName } from './status.js';

const methodOf = ({ path }: GrpcRequest): string => path.slice(1);

const statusAttributes = (code: number): Attributes => ({ 'rpc.response.status_code': statusName(code) });

/** `server.address` is the logical service, as the conventions ask: a name for the group of its instances. */
const attributesOf = (request: GrpcRequest, call: Call): Attributes => ({
  'rpc.system.name': 'grpc',
  'rpc.method': methodOf(request),
  'server.address': call.service,
});

/** The instance that a try went to. */
function writePeer(into: Attributes, { attempt: { endpoint } }: Call): Attributes {
  const [, authority] = endpoint?.url.split('://') ?? [];
  if (authority === undefined) return into;
  into['network.peer.address'] = addressOf(authority)?.replace(/^\[|\]$/g, '');
  into['network.peer.port'] = portOf(authority);
  return into;
}

/** A stream without a status so far can only be told of while it goes on, and then it goes well. */
const codeOf = (answer: GrpcAnswer): number => answer.status?.code ?? status.OK;

/** The span of OpenTelemetry's instrumentation of grpc-js, which has wrapped what clients are made of. */
function isOfCall(span: Span, { path }: GrpcRequest): boolean {
  if ((Client.prototype.makeUnaryRequest as { __wrapped?: unknown }).__wrapped !== true) return false;
  const { name, ended } = span as { readonly name?: unknown; readonly ended?: unknown };
  return name === `grpc.${path.slice(1)}` && ended !== true;
}

/**
 * The semantic conventions for gRPC clients (release candidate of 2026): names of spans, attributes, measurements. On this
 * side every status but OK is an error.
 */
export const grpcClientSemantics: Semantics<GrpcRequest, GrpcAnswer> = {
  spanName: methodOf,
  requestAttributes: (request, call) => writePeer(attributesOf(request, call), call),
  responseAttributes: (answer) => statusAttributes(codeOf(answer)),
  errorAttributes: (error) => statusAttributes(statusForCaller(error).code),
  errorType: (answer) => (codeOf(answer) === status.OK ? undefined : statusName(codeOf(answer))),
  activeAttributes: attributesOf,
  durationAttributes: (request, answer, call) => ({
    ...attributesOf(request, call),
    ...(answer === undefined ? {} : statusAttributes(codeOf(answer))),
  }),
  isOfCall,
  duration: {
    name: 'rpc.client.call.duration',
    description: 'Duration of outgoing remote procedure calls.',
    unit: 's',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
  },
};
