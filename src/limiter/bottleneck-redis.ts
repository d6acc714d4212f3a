import type { Clock } from '../core/clock.js';
import {
  type BottleneckClass,
  type BottleneckLike,
  type ConnectionInside,
  checkConnection,
  type IoredisLike,
  type LimiterInside,
  type OwnClient,
} from './bottleneck-like.js';

/**
 * Checks a client.
 *
 * @throws TypeError when it is none of ioredis
 */
export function checkIoredis(client: unknown): asserts client is IoredisLike {
  const { status, defineCommand, duplicate } = (client ?? {}) as Partial<IoredisLike>;
  if (typeof status === 'string' && typeof defineCommand === 'function' && typeof duplicate === 'function')
    return;
  throw new TypeError(
    'quota.redis must be an ioredis client: with node-redis 4 and later bottleneck hangs without an error',
  );
}

const healed = new WeakSet<object>();

/** What Redis 7 writes before the errors of scripts. */
const prefix = 'ERR ';

function withoutPrefix(error: unknown): unknown {
  if (error instanceof Error && error.message.startsWith(prefix))
    error.message = error.message.slice(prefix.length);
  return error;
}

/**
 * Lets bottleneck heal itself with Redis 7 and later. When Redis has lost its keys (a restart, FLUSHALL, expiry) or has
 * forgotten this process (it stood still for ten seconds), bottleneck writes them anew; but it knows these errors by their
 * whole message, before which Redis now writes `ERR `, and then every job fails for ever.
 *
 * Done where bottleneck takes the function of a script from its connection: the client itself is left alone, and no other
 * command sees it.
 */
export function heal(limiter: BottleneckLike): void {
  const { connection } = limiter as unknown as LimiterInside;
  if (connection) healConnection(connection);
}

function healConnection(connection: ConnectionInside): void {
  if (healed.has(connection)) return;
  healed.add(connection);
  const scriptOf = connection.__scriptFn__;
  connection.__scriptFn__ = (name) => {
    const script = scriptOf.call(connection, name);
    return (...args) => {
      const done = args.pop();
      if (typeof done !== 'function') return script(...args, done);
      return script(...args, (error: unknown, reply: unknown) => done(withoutPrefix(error), reply));
    };
  };
}

/**
 * Bottleneck waits for nobody when it takes a limiter off its connection, so that a connection which ends meanwhile would
 * be a rejection that nobody handles: the end of the process.
 */
function letGoQuietly(connection: ConnectionInside): void {
  connection.__removeLimiter__ = (limiter) => {
    for (const channel of [limiter.channel(), limiter.channel_client()]) {
      delete connection.limiters[channel];
      if (!connection.terminated) connection.subscriber.unsubscribe(channel).catch(() => undefined);
    }
  };
}

/** What differs from the user's client: commands wait for Redis to come back, however long that takes. */
const overrides = {
  lazyConnect: false,
  enableOfflineQueue: true,
  maxRetriesPerRequest: null,
  autoResubscribe: true,
  autoResendUnfulfilledCommands: true,
  retryStrategy: (times: number) => Math.min(times * 50, 2000),
};

function duplicate(client: IoredisLike): OwnClient {
  const { isCluster } = client as { isCluster?: boolean };
  const copy = client.duplicate as (...args: unknown[]) => OwnClient;
  if (!isCluster) return copy.call(client, overrides);
  const { retryStrategy, ...redisOptions } = overrides;
  return copy.call(client, [], { redisOptions, clusterRetryStrategy: retryStrategy, lazyConnect: false });
}

/** Longest wait for what was sent to reach Redis, at the end. */
const flushMs = 1000;

function end(client: OwnClient, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const cut = (): void => {
      client.disconnect();
      timer.cancel();
      resolve();
    };
    const timer = clock.after(flushMs, cut);
    client.quit().then(cut, cut);
  });
}

/** The two connections of a quota: copies of the user's client, which stays the user's. */
export class RedisLink {
  readonly connection: ConnectionInside;

  constructor({ IORedisConnection }: BottleneckClass, redis: IoredisLike) {
    const client = duplicate(redis);
    try {
      // Without the class it would load ioredis by itself, from wherever bottleneck happens to be installed.
      const connection = new IORedisConnection({
        client: client as never,
        Redis: redis.constructor as never,
      });
      checkConnection(connection);
      this.connection = connection;
    } catch (fault) {
      client.disconnect();
      throw fault;
    }
    healConnection(this.connection);
    letGoQuietly(this.connection);
  }

  /** Starts the connections anew: one whose other end is gone without a word may otherwise wait for a quarter of an hour. */
  reconnect(): void {
    this.connection.client.disconnect(true);
    this.connection.subscriber.disconnect(true);
  }

  async close(clock: Clock): Promise<void> {
    const { connection } = this;
    // Limiters that are let go from now on must not unsubscribe by a connection that is gone.
    connection.terminated = true;
    connection.subscriber.disconnect();
    await end(connection.client, clock);
  }
}
