// Calls the replicas at a steady rate, whether or not earlier calls were answered, as users do. Every other call may be sent
// twice. Latencies count from the time at which a call was due, so that a stall is charged to all that it delayed.
//   caller.mjs <side> <places as JSON> <calls per second>
import { once } from 'node:events';
import { status } from '@grpc/grpc-js';
import { quantile } from '../harness.mjs';
import { sides } from './sides.mjs';

const [name, places = '{}', perSecond] = process.argv.slice(2);
const side = sides.find(({ id }) => id === name);
if (side === undefined) throw new Error(`there is no side ${name}`);

/** How long callers wait. */
const patienceMs = 5000;

/**
 * @typedef {object} Phase
 * @property {string} name
 * @property {number} calls
 * @property {{ Get: number, Add: number }} failed
 * @property {Record<string, number>} reasons
 * @property {number} retried
 * @property {number[]} latencies
 * @property {number[]} delays how late this process was with a call, which is no doing of the replicas
 */

/** @type {Phase[]} */
const phases = [];
/** @param {string} called */
const begin = (called) => {
  const counts = { calls: 0, failed: { Get: 0, Add: 0 }, reasons: {}, retried: 0 };
  /** @type {Phase} */
  const phase = { name: called, ...counts, latencies: [], delays: [] };
  phases.push(phase);
  return phase;
};
let current = begin('warming up');
let underWay = 0;

/** @type {any} the constructor is made at run time */
const client = side.client(JSON.parse(places), () => current.retried++);

/** @param {number} due */
function send(due) {
  const phase = current;
  const method = phase.calls++ % 2 === 0 ? 'Get' : 'Add';
  underWay++;
  phase.delays.push(performance.now() - due);
  const deadline = Date.now() + patienceMs;
  /** @param {import('@grpc/grpc-js').ServiceError | null} error @param {import('../grpc-users.mjs').User} user */
  const done = (error, user) => {
    underWay--;
    phase.latencies.push(performance.now() - due);
    if (user?.name !== undefined) phase.retried++;
    if (error === null) return;
    phase.failed[method]++;
    const reason = `${method} ${status[error.code]}: ${error.details}`;
    phase.reasons[reason] = (phase.reasons[reason] ?? 0) + 1;
  };
  client[method]({ id: '42' }, { deadline }, done);
}

const everyMs = 1000 / Number(perSecond);
let running = true;
function openLoop() {
  let due = performance.now();
  const pump = () => {
    if (!running) return;
    for (const now = performance.now(); due <= now; due += everyMs) send(due);
    setTimeout(pump, due - performance.now());
  };
  pump();
}

async function settled() {
  running = false;
  while (underWay > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  return phases.map(({ latencies, delays, ...phase }) => ({
    ...phase,
    lateMs: quantile(delays, 0.99),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    maxMs: Math.max(...latencies),
  }));
}

await new Promise((resolve, reject) =>
  client.waitForReady(Date.now() + 10_000, (/** @type {Error | undefined} */ error) =>
    error ? reject(error) : resolve(undefined),
  ),
);
openLoop();
process.send?.({ ready: true });
process.once('disconnect', () => process.exit());
for (;;) {
  const [message] = await once(process, 'message');
  if (message.phase === undefined) break;
  current = begin(message.phase);
}
process.send?.(await settled());
