// Who calls the three replicas: ways to make one and the same generated client.
import * as grpc from '@grpc/grpc-js';
import { createApp } from 'keelson';
import { governedClient } from 'keelson/grpc';
import { usersService } from '../grpc-users.mjs';

const UsersClient = grpc.makeClientConstructor(usersService, 'Users');

/**
 * @typedef {object} Places where the replicas are
 * @property {string} dnsTarget
 * @property {readonly string[]} urls
 * @property {string | undefined} registry
 */

/** @param {string} target @param {object} config */
const stock = (target, config) =>
  new UsersClient(target, grpc.credentials.createInsecure(), {
    'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }], ...config }),
  });

/** gRPC's own retries, of the method that may be sent twice, with gRPC's own throttling. */
const withRetries = {
  methodConfig: [
    {
      name: [{ service: 'bench.Users', method: 'Get' }],
      retryPolicy: {
        maxAttempts: 2,
        initialBackoff: '0.025s',
        maxBackoff: '0.25s',
        backoffMultiplier: 2,
        retryableStatusCodes: ['UNAVAILABLE'],
      },
    },
  ],
  retryThrottling: { maxTokens: 100, tokenRatio: 0.2 },
};

/** @param {Partial<import('keelson').AppOptions>} found @param {() => void} onRetry */
const governed = (found, onRetry) =>
  governedClient(createApp({ service: 'caller', signals: false, ...found }), UsersClient, {
    service: 'users',
    idempotent: ['Get'],
    retry: { onRetry },
  });

/**
 * @typedef {object} Side
 * @property {string} id
 * @property {string} name
 * @property {boolean} registered whether the replicas are governed and registered, or plain servers of grpc-js
 * @property {(places: Places, onRetry: () => void) => grpc.Client} client
 */

/** @type {readonly Side[]} */
export const sides = [
  {
    id: 'stock',
    name: 'grpc-js: round_robin, DNS',
    registered: false,
    client: ({ dnsTarget }) => stock(dnsTarget, {}),
  },
  {
    id: 'stock.retry',
    name: 'the same with its retryPolicy',
    registered: false,
    client: ({ dnsTarget }) => stock(dnsTarget, withRetries),
  },
  {
    id: 'governed.static',
    name: 'governed, the same addresses',
    registered: false,
    client: ({ urls }, onRetry) => governed({ endpoints: { users: urls } }, onRetry),
  },
  {
    id: 'governed',
    name: 'governed on both sides, registry',
    registered: true,
    client: ({ registry }, onRetry) => governed({ registry: registry ?? [] }, onRetry),
  },
];
