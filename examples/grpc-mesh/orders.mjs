// A gRPC server that calls another: one line each for the client and the server.
import { promisify } from 'node:util';
import grpc from '@grpc/grpc-js';
import { createApp } from 'keelson';
import { governedClient, governHandlers, governServer, grpcServer } from 'keelson/grpc';
import { shop } from './shop.mjs';

const app = createApp({ service: 'orders', registry: process.env.REGISTRY });
const users = governedClient(app, shop.Users, 'users');
const getUser = promisify(users.getUser.bind(users));

const server = new grpc.Server({ interceptors: [governServer(app)] });
server.addService(
  shop.Orders.service,
  governHandlers({
    getOrder: async ({ request: { id } }) => ({ id, user: await getUser({ id: '42' }) }),
  }),
);
const { url } = await app.serve(grpcServer(server), { host: '127.0.0.1' });
console.log(`orders at ${url}`);
