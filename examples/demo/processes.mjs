import { fork } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startRegistry, stopAll } from '../processes/start.mjs';

const here = dirname(fileURLToPath(import.meta.url));

const crashing = { name: 'users-a', fault: 'healthy, crashes', env: {} };
const slow = { name: 'users-c', fault: '10x slower', env: { MEDIAN_MS: '300' } };
const replicas = [
  crashing,
  { name: 'users-b', fault: 'healthy', env: {} },
  slow,
  { name: 'users-d', fault: 'fails 30 %', env: { FAIL_RATIO: '0.3' } },
];
/** How long a supervisor takes to notice and restart. */
const restartMs = 1500;

async function startService(children, file, env) {
  const child = fork(join(here, file), [], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  const [message] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`${file} ended with ${code} before it listened`);
    }),
  ]);
  return { child, port: message.port };
}

/** Starts the registry, four replicas of users and one orders. */
export async function startCluster() {
  const children = new Set();
  const registry = await startRegistry();
  const running = new Map();
  let replacing = Promise.resolve();
  await Promise.all(
    replicas.map(async (replica) => {
      running.set(replica, await startService(children, 'users.mjs', { ...replica.env, REGISTRY: registry }));
    }),
  );
  const addressOf = (replica) => `http://127.0.0.1:${running.get(replica).port}`;
  const users = replicas.map(addressOf).join(',');
  const orders = await startService(children, 'orders.mjs', { REGISTRY: registry, USERS: users });

  const replace = async () => {
    const { child, port } = running.get(crashing);
    child.kill('SIGKILL');
    await sleep(restartMs);
    running.set(
      crashing,
      await startService(children, 'users.mjs', { ...crashing.env, REGISTRY: registry, PORT: String(port) }),
    );
  };
  return {
    ordersUrl: `http://127.0.0.1:${orders.port}`,
    slowName: slow.name,
    replicaCount: replicas.length,
    describe: () => replicas.map(({ name, fault }) => `${name} (${fault})`).join(', '),
    async beginPhase(mode) {
      orders.child.send({ begin: mode });
      // Discovery reaches orders within milliseconds; a second keeps the first requests out of its start.
      await sleep(1000);
    },
    crashAndReplace() {
      replacing = replace();
      replacing.catch((error) => process.stderr.write(`demo: the replacement failed: ${error.message}\n`));
    },
    settled: () => replacing,
    async stats() {
      orders.child.send({ stats: true });
      const [message] = await once(orders.child, 'message');
      return replicas.map((replica) => {
        const entry = message.stats.find(({ address }) => address === addressOf(replica));
        return { name: replica.name, fault: replica.fault, ...entry };
      });
    },
    async stop() {
      const ended = [...children].map((child) => once(child, 'exit'));
      for (const child of children) child.kill('SIGTERM');
      await Promise.race([Promise.all([...ended, stopAll()]), sleep(5000)]);
      this.kill();
    },
    kill() {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}
