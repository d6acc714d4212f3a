import type { MethodDefinition } from '@grpc/grpc-js';
import {
  type HealthRequest,
  type HealthResponse,
  readHealthRequest,
  readHealthResponse,
  writeHealthRequest,
  writeHealthResponse,
} from './health-message.js';

/** Full name of the service. */
const service = 'grpc.health.v1.Health';

/** Whether a call asks for the state of the server: who watches over it has to get an answer also when it sheds. */
export function isHealthMethod(path: string): boolean {
  return path.startsWith(`/${service}/`);
}

/** One method of the health service. */
export type HealthMethod<Streams extends boolean> = MethodDefinition<HealthRequest, HealthResponse> & {
  // As literals: the types of nice-grpc tell the kinds of methods by them.
  readonly requestStream: false;
  readonly responseStream: Streams;
};

function method<Streams extends boolean>(name: string, responseStream: Streams): HealthMethod<Streams> {
  return {
    path: `/${service}/${name}`,
    requestStream: false,
    responseStream,
    requestSerialize: writeHealthRequest,
    requestDeserialize: readHealthRequest,
    responseSerialize: writeHealthResponse,
    responseDeserialize: readHealthResponse,
    originalName: name.toLowerCase(),
  };
}

/**
 * gRPC's health service, `grpc.health.v1.Health`, as grpc-js and nice-grpc take it for servers and for clients.
 *
 * Source: grpc/grpc `src/proto/grpc/health/v1/health.proto`, without the method `List`.
 */
export const healthDefinition: { readonly Check: HealthMethod<false>; readonly Watch: HealthMethod<true> } = {
  Check: method('Check', false),
  Watch: method('Watch', true),
};
