import * as grpc from '@grpc/grpc-js';
import { governHandlers, governServer } from 'keelson/grpc';
import { usersService } from '../../grpc-users.mjs';
import { unshed } from './unshed.mjs';

/** @type {Record<string, grpc.handleUnaryCall<import('../../grpc-users.mjs').User, import('../../grpc-users.mjs').User>>} */
const handlers = {
  Get: ({ request: { id } }, done) => done(null, { id, name: 'Ada' }),
  Add: ({ request: { id } }, done) => done(null, { id }),
};

/** @param {import('keelson').App | undefined} app */
export function grpcJsServer(app) {
  const server = new grpc.Server(app ? { interceptors: [governServer(app, unshed())] } : {});
  server.addService(usersService, app ? governHandlers(handlers) : handlers);
  return server;
}
