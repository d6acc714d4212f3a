import { Cluster, Redis as Ioredis } from 'ioredis';
import { Cluster as Cluster5, Redis as Ioredis5 } from 'ioredis5';
import type { RedisClient } from 'keelson/redis';
import { createClient, createClientPool, createCluster } from 'redis';
import { createClient as createClient4, createCluster as createCluster4 } from 'redis4';
import { createClient as createClient5, createCluster as createCluster5 } from 'redis5';

/** A client of one of the packages that are spoken, and how to be rid of it. */
export interface OpenClient {
  readonly redis: RedisClient;
  close(): unknown;
}

/** Tries again every so often, for ever: as patient as a service, not as slow. */
const retryMs = 50;

async function opened<
  Client extends RedisClient & { on(event: 'error', run: () => void): unknown; connect(): unknown },
>(client: Client, close: (client: Client) => unknown): Promise<OpenClient> {
  // Their owner has to listen, or an error that nobody listens to ends the process.
  client.on('error', () => undefined);
  await client.connect();
  return { redis: client, close: () => close(client) };
}

const node = (url: string) => ({ url, socket: { reconnectStrategy: () => retryMs } });
const nodesAt = (ports: readonly number[]) => ports.map((port) => ({ host: '127.0.0.1', port }));
const rootsAt = (ports: readonly number[]) => ports.map((port) => ({ url: `redis://127.0.0.1:${port}` }));
const clusterIo = { lazyConnect: true, clusterRetryStrategy: () => retryMs };
const io = { lazyConnect: true, retryStrategy: () => retryMs };

/** One of each package, connected. */
export const redisClients: Record<string, (url: string) => Promise<OpenClient>> = {
  'ioredis 6': (url) => opened(new Ioredis(url, io), (client) => client.disconnect()),
  'ioredis 5': (url) => opened(new Ioredis5(url, io), (client) => client.disconnect()),
  'redis 6': (url) => opened(createClient(node(url)), (client) => client.destroy()),
  'redis 5': (url) => opened(createClient5(node(url)), (client) => client.destroy()),
  'redis 4': (url) => opened(createClient4(node(url)), (client) => client.disconnect()),
  'a pool of redis 6': (url) => opened(createClientPool(node(url)), (client) => client.destroy()),
};

/** Clients of a cluster, connected. */
export const redisClusterClients: Record<string, (ports: readonly number[]) => Promise<OpenClient>> = {
  'ioredis 6': (ports) => opened(new Cluster(nodesAt(ports), clusterIo), (client) => client.disconnect()),
  'ioredis 5': (ports) => opened(new Cluster5(nodesAt(ports), clusterIo), (client) => client.disconnect()),
  'redis 6': (ports) => opened(createCluster({ rootNodes: rootsAt(ports) }), (client) => client.destroy()),
  'redis 5': (ports) => opened(createCluster5({ rootNodes: rootsAt(ports) }), (client) => client.destroy()),
  'redis 4': (ports) =>
    opened(createCluster4({ rootNodes: rootsAt(ports) }), (client) => client.disconnect()),
};
