// A gRPC server, governed by its interceptor.
import grpc from '@grpc/grpc-js';
import { createApp, currentCall } from 'keelson';
import { metadataKey, metadataOf } from 'keelson/core';
import { addHealth, governHandlers, governServer, grpcServer } from 'keelson/grpc';
import { shop } from './shop.mjs';

const tenant = metadataKey('x-md-global-tenant');

const app = createApp({ service: 'users', registry: process.env.REGISTRY });
const server = new grpc.Server({ interceptors: [governServer(app)] });
server.addService(
  shop.Users.service,
  governHandlers({
    getUser: async () => ({
      name: 'Ada',
      tenant: metadataOf().get(tenant),
      leftMs: Number(currentCall()?.deadline) - performance.now(),
      replica: process.env.REPLICA,
    }),
  }),
);
addHealth(server, app);
const { url } = await app.serve(grpcServer(server), { host: '127.0.0.1' });
console.log(`users at ${url}`);
