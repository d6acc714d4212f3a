// A server under one contender, in a process of its own, so that its CPU time is its own.
//   server.mjs <contender> http|grpc '{"rounds": 3000000, "waitMs": 0}'
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { contenders } from './contenders.mjs';
import { spin } from './work.mjs';

const [id, wire, size = '{}'] = process.argv.slice(2);
/** @type {{ rounds: number, waitMs: number }} */
const { rounds, waitMs } = JSON.parse(size);

/** What was worked out, so that it cannot be left out. */
let result = 0;
const work = () => {
  result ^= spin(rounds);
  return waitMs > 0 ? sleep(waitMs) : undefined;
};

async function listening() {
  const contender = contenders.find((one) => one.id === id);
  if (wire === 'http' && contender?.http) {
    const server = await contender.http(work);
    // All that come are to be taken: a queue that is full would protect those who do not protect themselves.
    await new Promise((resolve) =>
      server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => resolve(0)),
    );
    return /** @type {import('node:net').AddressInfo} */ (server.address()).port;
  }
  if (wire === 'grpc' && contender?.grpc) {
    const { ServerCredentials } = await import('@grpc/grpc-js');
    const server = await contender.grpc(work);
    return new Promise((resolve, reject) => {
      const done = (/** @type {Error | null} */ error, /** @type {number} */ port) =>
        error ? reject(error) : resolve(port);
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), done);
    });
  }
  throw new Error(`there is no ${wire} server ${id}`);
}

const clock = new Worker(new URL('cpu-clock.mjs', import.meta.url));
const [clockPort] = await once(clock, 'message');
const port = await listening();
process.once('disconnect', () => process.exit(result === 0.5 ? 1 : 0));
process.send?.({ port, clockPort, pid: process.pid });
