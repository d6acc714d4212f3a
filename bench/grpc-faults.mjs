// What becomes of calls when replicas are killed and restarted under load: stock grpc-js and a governed channel, one after
// the other, with the same faults.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createRegistry } from 'keelson/registry';
import { nameServer } from './grpc-faults/name-server.mjs';
import { hosts, Replicas } from './grpc-faults/replicas.mjs';
import { sides } from './grpc-faults/sides.mjs';
import { markdown } from './table.mjs';

/**
 * @typedef {object} Plan
 * @property {number} perSecond
 * @property {number} workMs time of a call in a replica
 * @property {number} steadyMs before the first fault
 * @property {number} kills
 * @property {number} downMs from a SIGKILL until somebody starts the replica again
 * @property {number} drainMs from a SIGTERM until a replica takes no more calls
 * @property {number} settleMs after a replica is back; grpc-js connects again after a second
 */
/**
 * @typedef {object} PhaseFigures
 * @property {string} name
 * @property {number} calls
 * @property {{ Get: number, Add: number }} failed
 * @property {Record<string, number>} reasons
 * @property {number} retried
 * @property {number} lateMs how late the caller itself was, at the 99th percentile
 * @property {number} p50Ms
 * @property {number} p99Ms
 * @property {number} maxMs
 */
/** @typedef {{ readonly side: string, readonly name: string, readonly phases: readonly PhaseFigures[] }} SideFigures */

/** @type {Plan} */
const full = {
  perSecond: 500,
  workMs: 20,
  steadyMs: 5000,
  kills: 3,
  downMs: 2000,
  drainMs: 1000,
  settleMs: 2500,
};
/** @type {Plan} */
const quickly = {
  ...full,
  perSecond: 100,
  steadyMs: 400,
  kills: 1,
  downMs: 200,
  drainMs: 150,
  settleMs: 1100,
};

/** From here on it is the machine that is measured. */
const endurableMs = 50;

const program = fileURLToPath(new URL('grpc-faults/caller.mjs', import.meta.url));

/** @param {import('./grpc-faults/sides.mjs').Side} side @param {object} places @param {Plan} plan */
function callerOf(side, places, { perSecond }) {
  // grpc-js asks the DNS server that its target names only if it is told so.
  const env = { ...process.env, GRPC_NODE_USE_ALTERNATIVE_RESOLVER: 'true' };
  const args = [side.id, JSON.stringify(places), String(perSecond)];
  return fork(program, args, { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
}

/** @param {import('node:child_process').ChildProcess} child @returns {Promise<any>} */
async function messageOf(child) {
  const over = new AbortController();
  const { signal } = over;
  const ended = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`the caller ended with ${code}`);
  });
  try {
    return (await Promise.race([once(child, 'message', { signal }), ended]))[0];
  } finally {
    over.abort();
  }
}

/** @param {import('./grpc-faults/sides.mjs').Side} side @param {Plan} plan @returns {Promise<SideFigures>} */
async function drive(side, plan) {
  const { workMs, drainMs } = plan;
  const registry = side.registered ? createRegistry({ listen: '127.0.0.1:0' }) : undefined;
  const registryUrl = registry && (await registry.listen()).url;
  const names = await nameServer(hosts);
  const replicas = new Replicas({ workMs, drainMs, registry: registryUrl });
  /** @type {import('node:child_process').ChildProcess | undefined} */
  let caller;
  try {
    await replicas.open();
    const dnsTarget = `dns://127.0.0.1:${names.port}/users.bench:${replicas.port}`;
    caller = callerOf(side, { dnsTarget, urls: replicas.urls, registry: registryUrl }, plan);
    await messageOf(caller);
    await sleep(plan.steadyMs / 2);
    caller.send({ phase: 'no faults' });
    await sleep(plan.steadyMs);
    caller.send({ phase: `SIGKILL × ${plan.kills}` });
    // What was sent before is answered by then.
    await sleep(plan.workMs * 10);
    for (const host of hosts.slice(0, plan.kills)) {
      await replicas.end(host, 'SIGKILL');
      await sleep(plan.downMs);
      await replicas.start(host);
      await sleep(plan.settleMs);
    }
    caller.send({ phase: 'rolling restart' });
    for (const host of hosts) {
      await replicas.end(host, 'SIGTERM');
      await replicas.start(host);
      await sleep(plan.settleMs);
    }
    const result = messageOf(caller);
    caller.send({});
    const [, ...phases] = await result;
    return { side: side.id, name: side.name, phases };
  } finally {
    caller?.kill('SIGKILL');
    await replicas.close();
    names.close();
    await registry?.close();
  }
}

/** For a look that everything runs, at the same time. */
const extremes = sides.filter(({ id }) => id === 'stock' || id === 'governed');

/** @param {readonly SideFigures[]} figures */
function faultsText(figures) {
  const heads = ['client', 'fault', 'calls', 'failed, idempotent', 'failed, others'];
  heads.push('tried again', 'p50 ms', 'p99 ms', 'max ms');
  const rows = figures.flatMap(({ name, phases }) =>
    phases.map(({ name: fault, calls, failed, retried, p50Ms, p99Ms, maxMs }, at) => [
      at === 0 ? name : '',
      fault,
      ...[calls, failed.Get, failed.Add, retried].map(String),
      ...[p50Ms, p99Ms, maxMs].map((ms) => ms.toFixed(1)),
    ]),
  );
  const reasons = figures.flatMap(({ name, phases }) =>
    phases.flatMap((phase) =>
      Object.entries(phase.reasons).map(([reason, count]) => `${name}, ${phase.name}: ${count} × ${reason}`),
    ),
  );
  const worst = Math.max(...figures.flatMap(({ phases }) => phases.map(({ lateMs }) => lateMs)));
  const late =
    worst > endurableMs
      ? `DISTURBED: the caller itself was up to ${worst.toFixed(0)} ms late (p99): the machine has other guests, or is too small.`
      : `The caller itself was at most ${worst.toFixed(0)} ms late (p99).`;
  return [markdown(heads, rows), ...(reasons.length > 0 ? [reasons.join('\n')] : []), late].join('\n\n');
}

/** @param {string} host @returns {Promise<boolean>} */
const canBind = (host) =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(0, host, () => server.close(() => resolve(true)));
  });

/** @param {import('./parts.mjs').PartOptions} options @returns {Promise<import('./parts.mjs').PartResult>} */
export async function grpcFaults({ quick, tell }) {
  const bindable = await Promise.all(hosts.map(canBind));
  if (bindable.includes(false))
    return { text: `SKIPPED: not all of ${hosts.join(', ')} are addresses of this machine`, json: {} };
  const plan = quick ? quickly : full;
  const figures = quick ? await Promise.all(extremes.map((side) => drive(side, plan))) : [];
  for (const side of quick ? [] : sides) {
    tell(`gRPC under faults: ${side.name}`);
    figures.push(await drive(side, plan));
  }
  const about = `Three replicas, ${plan.perSecond} calls per second in an open loop, ${plan.workMs} ms of work each`;
  return { text: `${about}\n\n${faultsText(figures)}`, json: { grpcFaults: figures } };
}
