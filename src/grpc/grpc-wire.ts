import { resolveOptions } from '../core/options.js';
import type { Wire } from '../core/wire.js';
import { Attempt } from './attempt.js';
import { grpcClientProtocol } from './client-protocol.js';
import { Connectivity } from './connectivity.js';
import { channelTo } from './endpoint-channel.js';
import type { GrpcAnswer } from './grpc-answer.js';
import { type GrpcRequest, OutgoingRequest } from './grpc-request.js';
import { type GrpcWireOptions, type GrpcWireSettings, grpcWireDefaults } from './wire-options.js';

/** A wire that also tells how its connections are. */
export interface GrpcWire extends Wire<GrpcRequest, GrpcAnswer> {
  readonly connectivity: Connectivity;
}

/**
 * Carries calls by grpc-js, on a channel of its own for each endpoint.
 *
 * @throws TypeError or RangeError for options that are out of range
 */
export function grpcWire(options: GrpcWireOptions = {}): GrpcWire {
  const settings = resolveOptions<GrpcWireSettings>('governedChannel', grpcWireDefaults, options, {
    keepaliveTimeMs: { min: 1000 },
    keepaliveTimeoutMs: { above: 0 },
    maxReconnectMs: { min: 100 },
  });
  const connectivity = new Connectivity();
  return {
    protocol: grpcClientProtocol,
    schemes: ['grpc', 'grpcs'],
    tellsDeadline: true,
    connectivity,
    connect: (endpoint) => {
      const channel = channelTo(endpoint, settings);
      connectivity.add(channel);
      return {
        handler: (request, call) =>
          new Promise((resolve, reject) => {
            if (!(request instanceof OutgoingRequest))
              throw new TypeError('a request of a gRPC client has to come from its channel');
            if (call.cancel.aborted) reject(call.cancel.reason);
            else new Attempt(channel, request, { resolve, reject }, call).start(call);
          }),
        close: () => {
          connectivity.remove(channel);
          channel.close();
        },
      };
    },
  };
}
