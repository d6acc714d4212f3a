// A server of nice-grpc: an interceptor governs it, a middleware gives handlers the call and errors their status.
import { setTimeout as sleep } from 'node:timers/promises';
import { createApp } from 'keelson';
import { governMiddleware, governServer, grpcServer, niceHealth } from 'keelson/grpc';
import { createServer } from 'nice-grpc';
import { GreeterDefinition } from './definition.mjs';

let abandoned = 0;

const app = createApp({ service: 'greeter', registry: process.env.REGISTRY });
const server = createServer({ interceptors: [governServer(app)] }).use(governMiddleware());
/** @type {any} */
const greeter = {
  async Greet({ name }, { call }) {
    const seconds = Math.ceil((call.deadline - performance.now()) / 1000);
    return { text: `hello ${name}, at most ${seconds} s`, replica: process.env.REPLICA };
  },
  async *Count({ name }, { call }) {
    call.cancel.onAbort(() => abandoned++);
    for (let i = 1; ; i++) {
      yield { text: name === 'abandoned' ? String(abandoned) : `${name} ${i}` };
      await sleep(5);
    }
  },
};
server.add(GreeterDefinition, greeter);
server.add(...niceHealth(app));
const { url } = await app.serve(grpcServer(server), { host: '127.0.0.1' });
console.log(`greeter at ${url}`);
