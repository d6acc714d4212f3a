/**
 * A rate limit that several processes share through Redis. Works with ioredis and node-redis, and loads neither.
 *
 * @module
 */
export {
  type SharedRate,
  type SharedRateSnapshot,
  sharedRate,
} from './rate.js';
export {
  type SharedRateOptions,
  type SharedRateTransition,
  sharedRateDefaults,
} from './rate-options.js';
export type { IoredisClient, NodeRedisClient, NodeRedisScriptOptions, RedisClient } from './redis-client.js';
export type { WhenAway } from './stand-in.js';
