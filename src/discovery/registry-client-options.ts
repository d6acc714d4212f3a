import { type Clock, systemClock } from '../core/clock.js';
import type { Bounds } from '../core/options.js';
import { type Random, systemRandom } from '../core/random.js';
import type { DiscoveryEvent } from './discovery-event.js';

/** Options that all clients of registries have. */
export interface RegistryClientOptions {
  /**
   * Failure domain of instances that name none.
   *
   * @defaultValue `undefined`: the environment variable `ZONE`, else empty
   */
  readonly zone?: string | undefined;
  /**
   * Deployment environment: of instances that name none when they register, and of those that are found. Who names
   * another one is not seen; who names none, as kratos' services do not, is. Empty to see all.
   *
   * @defaultValue `undefined`: the environment variable `DEPLOY_ENV`, else empty
   */
  readonly env?: string | undefined;
  /**
   * Geographic region of instances that name none.
   *
   * @defaultValue `undefined`: the environment variable `REGION`, else empty
   */
  readonly region?: string | undefined;
  /**
   * How long instances stay, with the resolution marked stale, when a list leaves them out that may be wrong, such as
   * an empty one; in milliseconds. A larger value survives a longer mistake of the registry, and calls what is really
   * gone for longer. 0 believes every list.
   *
   * @defaultValue `60_000`
   */
  readonly removalHoldMs?: number | undefined;
  /**
   * A list that has less than this share of the instances known before is not believed at once: those that it leaves
   * out stay for `removalHoldMs`, with the resolution marked stale. 0 to 1. A larger value forgives more of a registry
   * that is cut off from its instances, and calls more of those that really left together; with 0.3 a change from 20
   * to 8 is believed, from 20 to 5 is doubted. 0 doubts the empty list only.
   *
   * @defaultValue `0.3`
   */
  readonly minListRatio?: number | undefined;
  /**
   * How long the registry may take to answer, over all its nodes, in milliseconds; also how long taking an instance
   * out may take. A larger value forgives a slower registry, and notices a dead one later.
   *
   * @defaultValue `5_000`
   */
  readonly requestTimeoutMs?: number | undefined;
  /**
   * How long a connection to a node may take to be made, in milliseconds. A larger value forgives a slower network,
   * and turns to the next node later.
   *
   * @defaultValue `3_000`
   */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * Told what is worth a line in a log.
   *
   * @defaultValue `undefined`
   */
  readonly onEvent?: ((event: DiscoveryEvent) => void) | undefined;
  /**
   * Tells the time and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
  /**
   * For jitter, and the order of nodes.
   *
   * @defaultValue `systemRandom`
   */
  readonly random?: Random | undefined;
}

/** Their defaults. */
export const registryClientDefaults = {
  zone: undefined as string | undefined,
  env: undefined as string | undefined,
  region: undefined as string | undefined,
  removalHoldMs: 60_000,
  minListRatio: 0.3,
  requestTimeoutMs: 5_000,
  connectTimeoutMs: 3_000,
  /** Nobody is told. */
  onEvent: undefined as ((event: DiscoveryEvent) => void) | undefined,
  clock: systemClock as Clock,
  random: systemRandom as Random,
};

/** Their ranges. */
export const registryClientBounds: Bounds<typeof registryClientDefaults> = {
  removalHoldMs: { min: 0 },
  minListRatio: { min: 0, max: 1 },
  requestTimeoutMs: { min: 10 },
  connectTimeoutMs: { min: 10 },
};
