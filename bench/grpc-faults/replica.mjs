// One replica of the users service, in a process of its own. On SIGTERM it ends in order: governed by its app, else as
// servers of grpc-js do it.
//   replica.mjs '{"host": "127.0.0.1", "port": 0, "workMs": 20, "drainMs": 1000, "registry": "http://…" or nothing}'
import { setTimeout as sleep } from 'node:timers/promises';
import * as grpc from '@grpc/grpc-js';
import { createApp } from 'keelson';
import { addHealth, governHandlers, governServer, grpcServer } from 'keelson/grpc';
import { usersService } from '../grpc-users.mjs';

/** @typedef {import('../grpc-users.mjs').User} User */

const { host, port, workMs, drainMs, registry } = JSON.parse(process.argv[2] ?? '{}');

/** @type {grpc.handleUnaryCall<User, User>} */
const work = ({ request: { id }, metadata }, done) => {
  const [previous] = metadata.get('grpc-previous-rpc-attempts');
  setTimeout(() => done(null, { id, ...(previous && { name: `tried ${previous} times before` }) }), workMs);
};
const handlers = { Get: work, Add: work };

/** @returns {Promise<number>} the port */
async function governed() {
  const app = createApp({ service: 'users', registry, drainPauseMs: drainMs });
  // No limiter: what faults cost is asked here, not what overload does, and the plain replicas have none either.
  const server = new grpc.Server({ interceptors: [governServer(app, { queue: false })] });
  server.addService(usersService, governHandlers(handlers));
  addHealth(server, app);
  return (await app.serve(grpcServer(server), { host, port })).port;
}

/** @returns {Promise<number>} the port */
async function plain() {
  const server = new grpc.Server();
  server.addService(usersService, handlers);
  process.once('SIGTERM', async () => {
    await sleep(drainMs);
    server.tryShutdown(() => process.exit());
  });
  return new Promise((resolve, reject) => {
    const done = (/** @type {Error | null} */ error, /** @type {number} */ bound) =>
      error ? reject(error) : resolve(bound);
    server.bindAsync(`${host}:${port}`, grpc.ServerCredentials.createInsecure(), done);
  });
}

process.send?.({ port: await (registry === undefined ? plain() : governed()) });
process.once('disconnect', () => process.exit());
