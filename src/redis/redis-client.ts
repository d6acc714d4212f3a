import { script, scriptSha } from './script.js';

/** What is used of an ioredis client, 5 or later: a `Redis` or a `Cluster`. */
export interface IoredisClient {
  /** Runs a script that Redis knows. */
  evalsha(sha: string, keyCount: number, ...keysAndArguments: string[]): Promise<unknown>;
  /** Runs a script. */
  eval(source: string, keyCount: number, ...keysAndArguments: string[]): Promise<unknown>;
}

/** Keys and arguments as node-redis takes them. */
export interface NodeRedisScriptOptions {
  /** Keys. */
  keys: string[];
  /** The rest. */
  arguments: string[];
}

/** What is used of a node-redis client, 4 or later: a client, a pool, a cluster or a sentinel. */
export interface NodeRedisClient {
  /** Runs a script that Redis knows. */
  evalSha(sha: string, options: NodeRedisScriptOptions): Promise<unknown>;
  /** Runs a script. */
  eval(source: string, options: NodeRedisScriptOptions): Promise<unknown>;
}

/** A client of Redis that the user made, connects and closes. */
export type RedisClient = IoredisClient | NodeRedisClient;

/** Runs the script on one key. */
export type Evaluate = (key: string, args: readonly string[]) => Promise<unknown>;

/**
 * Clusters of node-redis are told the key beside the command. Those of version 4 look for it in the wrong place in scripts,
 * and ask a node at random (redis/node-redis issue 2811).
 */
interface NodeRedisCluster {
  readonly masters: readonly unknown[];
  sendCommand(key: string, isReadonly: boolean, command: string[]): Promise<unknown>;
}

type Run = (command: 'EVALSHA' | 'EVAL', key: string, args: readonly string[]) => unknown;

const operandOf = (command: 'EVALSHA' | 'EVAL'): string => (command === 'EVALSHA' ? scriptSha : script);

const byCluster =
  (redis: NodeRedisCluster): Run =>
  (command, key, args) =>
    redis.sendCommand(key, false, [command, operandOf(command), '1', key, ...args]);

const byNodeRedis =
  (redis: NodeRedisClient): Run =>
  (command, key, args) => {
    const options = { keys: [key], arguments: [...args] };
    return command === 'EVALSHA' ? redis.evalSha(scriptSha, options) : redis.eval(script, options);
  };

const byIoredis =
  (redis: IoredisClient): Run =>
  (command, key, args) =>
    command === 'EVALSHA' ? redis.evalsha(scriptSha, 1, key, ...args) : redis.eval(script, 1, key, ...args);

function runOf(client: RedisClient): Run {
  const redis = client as Partial<IoredisClient & NodeRedisClient & NodeRedisCluster> | null;
  if (Array.isArray(redis?.masters) && typeof redis.sendCommand === 'function')
    return byCluster(redis as NodeRedisCluster);
  if (typeof redis?.evalSha === 'function') return byNodeRedis(redis as NodeRedisClient);
  if (typeof redis?.evalsha === 'function') return byIoredis(redis as IoredisClient);
  throw new TypeError('sharedRate.redis must be a client of ioredis or node-redis');
}

/** Only where nobody has run the script since Redis started, flushed its scripts or forgot those not used for long. */
const isUnknownScript = (error: unknown): boolean =>
  String((error as Error | null)?.message).startsWith('NOSCRIPT');

/**
 * Makes both kinds of client one.
 *
 * @throws TypeError when it is neither
 */
export function evaluatorOf(client: RedisClient): Evaluate {
  const run = runOf(client);
  return async (key, args) => {
    try {
      return await run('EVALSHA', key, args);
    } catch (error) {
      if (!isUnknownScript(error)) throw error;
      return run('EVAL', key, args);
    }
  };
}
