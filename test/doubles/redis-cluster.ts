import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './free-port.js';

/** A cluster of real redis-servers without replicas, each with an equal part of the keys. */
export interface RedisCluster {
  readonly ports: readonly number[];
  /** Kills one node with SIGKILL: its keys are nowhere then. */
  kill(node: number): Promise<void>;
  stop(): Promise<void>;
}

const slots = 16_384;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts one; the machine must have redis-server 7 or later. */
export async function startRedisCluster(size: number): Promise<RedisCluster> {
  const dir = await mkdtemp(join(tmpdir(), 'keelson-redis-cluster-'));
  const ports: number[] = [];
  const servers: ChildProcess[] = [];
  const killAll = () => {
    for (const server of servers) server.kill('SIGKILL');
  };
  process.once('exit', killAll);
  const end = async (server: ChildProcess | undefined): Promise<void> => {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const gone = once(server, 'exit');
    server.kill('SIGKILL');
    await gone;
  };
  const stop = async (): Promise<void> => {
    process.off('exit', killAll);
    await Promise.all(servers.map(end));
    await rm(dir, { recursive: true, force: true });
  };
  const nodes: Redis[] = [];
  try {
    for (let at = 0; at < size; at++) {
      const port = await freePort();
      const config = {
        port,
        bind: '127.0.0.1',
        dir,
        save: '',
        'cluster-enabled': 'yes',
        // Or the first of them does not know its own.
        'cluster-announce-ip': '127.0.0.1',
        'cluster-config-file': `nodes-${at}.conf`,
        'cluster-require-full-coverage': 'no',
        'cluster-node-timeout': 2000,
      };
      const args = Object.entries(config).flatMap(([name, value]) => [`--${name}`, String(value)]);
      servers.push(spawn('redis-server', args, { stdio: 'ignore' }));
      ports.push(port);
      // A server that begins on a busy machine takes longer than the usual twenty tries.
      const node = new Redis({
        port,
        host: '127.0.0.1',
        retryStrategy: () => 20,
        maxRetriesPerRequest: 500,
      });
      node.on('error', () => undefined);
      nodes.push(node);
      const first = Math.floor((slots * at) / size);
      await node.call('CLUSTER', 'ADDSLOTSRANGE', first, Math.floor((slots * (at + 1)) / size) - 1);
    }
    for (const node of nodes.slice(1)) await node.call('CLUSTER', 'MEET', '127.0.0.1', ports[0] ?? 0);
    for (const node of nodes) await formed(node, size);
  } catch (error) {
    await stop();
    throw error;
  } finally {
    for (const node of nodes) node.disconnect();
  }
  return { ports, kill: (node) => end(servers[node]), stop };
}

async function formed(node: Redis, size: number): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    const info = String(await node.call('CLUSTER', 'INFO'));
    if (info.includes('cluster_state:ok') && info.includes(`cluster_size:${size}`)) return;
    await pause(20);
  }
  throw new Error('the cluster was not formed within 20 s');
}
