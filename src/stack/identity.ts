import cluster from 'node:cluster';
import { hostname } from 'node:os';
import type { ServiceInstance } from '../discovery/instance.js';
import { isWildcard } from './advertise.js';
import type { Bound } from './servable.js';

/** What an app says of itself when it registers. */
export interface Identity {
  /** Logical name. */
  readonly service: string;
  /** Version of the service. */
  readonly version: string;
  /** Failure domain. */
  readonly zone: string;
  /** Deployment environment. */
  readonly env: string;
  /** Geographic region. */
  readonly region: string;
  /** Share of the traffic. */
  readonly weight: number;
  /** Labels. */
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * `node:cluster` and PM2 workers share one port. Each registers under a name of its own, so that one worker's end
 * does not take the others out, and the port's weight is the number of its workers.
 */
function workerSuffix(env: NodeJS.ProcessEnv): string {
  // Before PM2's number, which the successor of a worker has too, while the worker is still leaving.
  const worker = cluster.worker?.id ?? env['NODE_APP_INSTANCE'] ?? env['pm_id'];
  return worker === undefined ? '' : `-w${worker}`;
}

/** Servers that are bound to one address each can have the same port on one machine. */
function placeOf({ host, port }: Bound): string {
  return isWildcard(host) ? `${port}` : `${host}-${port}`;
}

/** The instance that an app registers for one address. A new process is a new instance, also on an old address. */
export function instanceFor(identity: Identity, address: string, bound: Bound): ServiceInstance {
  const host = `${hostname()}-${placeOf(bound)}${workerSuffix(process.env)}`;
  return {
    ...identity,
    id: `${host}-${globalThis.crypto.randomUUID().slice(0, 8)}`,
    hostname: host,
    addresses: [address],
    status: 'up',
  };
}
