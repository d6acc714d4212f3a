import { resolveOptions } from '../core/options.js';
import { type Random, systemRandom } from '../core/random.js';
import { drawVictims, evictionLimit } from './eviction.js';
import type { StoredInstance } from './instance-record.js';
import type { InstanceStore } from './instance-store.js';
import type { Instant } from './instant.js';
import { type RenewalGuard, renewalGuard } from './renewal-guard.js';

/** When instances that stopped renewing are taken out. */
export interface LifecycleOptions {
  /**
   * Silence after which an instance is expired; milliseconds, above 0. Clients renew each 30 s. A larger value keeps
   * the dead longer, a smaller one loses the living over a few lost renewals.
   *
   * @defaultValue `90_000`
   */
  readonly expiryMs?: number | undefined;
  /**
   * Silence after which it is expired although the guard protects; milliseconds, above 0.
   *
   * @defaultValue `3_600_000`
   */
  readonly maxExpiryMs?: number | undefined;
  /**
   * Between two sweeps; milliseconds, above 0. Also the time over which the guard counts renewals.
   *
   * @defaultValue `60_000`
   */
  readonly sweepIntervalMs?: number | undefined;
  /**
   * Between two recounts of the renewals expected; milliseconds, above 0.
   *
   * @defaultValue `900_000`
   */
  readonly recountIntervalMs?: number | undefined;
  /**
   * Share of all instances that one sweep leaves alone; 0 to 1. One is evicted at least.
   *
   * @defaultValue `0.85`
   */
  readonly keepRatio?: number | undefined;
  /**
   * Share of the expected renewals below which the guard protects; 0 to 1.
   *
   * @defaultValue `0.85`
   */
  readonly protectRatio?: number | undefined;
  /**
   * Fewest instances that the guard protects; a whole number, 0 or more.
   *
   * @defaultValue `10`
   */
  readonly protectMinInstances?: number | undefined;
  /**
   * Draws the victims among the expired.
   *
   * @defaultValue `Math.random`
   */
  readonly random?: Random | undefined;
}

/** Defaults of {@link LifecycleOptions}. */
export const lifecycleDefaults = {
  expiryMs: 90_000,
  maxExpiryMs: 3_600_000,
  sweepIntervalMs: 60_000,
  recountIntervalMs: 900_000,
  keepRatio: 0.85,
  protectRatio: 0.85,
  protectMinInstances: 10,
  random: systemRandom,
};

/** What one sweep did. */
export interface Sweep {
  /** Instances that were expired. */
  readonly expired: number;
  /** Those that were taken out. */
  readonly evicted: readonly StoredInstance[];
  /** Whether the guard kept the younger ones of the expired. */
  readonly protecting: boolean;
  /** Whether the sweep came so late that the process must have stood still: nobody could renew, so nobody is judged. */
  readonly late: boolean;
}

/** Takes out what stopped renewing. Told the time. */
export interface Lifecycle {
  /** To be told of registrations, cancellations and renewals. */
  readonly guard: RenewalGuard;
  /** To be called once per sweep interval. */
  sweep(at: Instant): Sweep;
}

/** Every client renews this often, whatever the registry thinks of it. */
const renewalIntervalMs = 30_000;

class Keeper implements Lifecycle {
  readonly guard: RenewalGuard;
  private sweptMs: number;
  private countedMs: number;

  constructor(
    private readonly store: InstanceStore,
    private readonly options: typeof lifecycleDefaults,
    startMs: number,
  ) {
    this.sweptMs = startMs;
    this.countedMs = startMs;
    this.guard = renewalGuard({
      ratio: options.protectRatio,
      minInstances: options.protectMinInstances,
      renewalsPerTurn: options.sweepIntervalMs / renewalIntervalMs,
    });
  }

  sweep(at: Instant): Sweep {
    const { store, options, guard } = this;
    const late = at.ms - this.sweptMs > options.sweepIntervalMs + options.expiryMs / 2;
    this.sweptMs = at.ms;
    guard.turn();
    if (at.ms - this.countedMs >= options.recountIntervalMs) {
      this.countedMs = at.ms;
      guard.recount(store.instances);
    }
    store.forgetEmptied(at.ms - options.maxExpiryMs);
    const { protecting } = guard;
    const allowedMs = protecting ? options.maxExpiryMs : Math.min(options.expiryMs, options.maxExpiryMs);
    const expired: StoredInstance[] = [];
    for (const record of store.records())
      if (!record.permanent && at.ms - record.renewedMs > allowedMs) expired.push(record);
    if (late || expired.length === 0) return { expired: expired.length, evicted: [], protecting, late };
    const limit = evictionLimit(store.instances, options.keepRatio);
    const evicted = drawVictims(expired, limit, options.random);
    store.evict(evicted, at);
    return { expired: expired.length, evicted, protecting, late };
  }
}

/**
 * Makes the keeper of a store's instances: expiry, self-protection, eviction in small random batches.
 *
 * Source: `registry/registry.go` and `registry/guard.go` of bilibili/discovery. Differs: small registries are not
 * protected, and a registry that stood still itself judges nobody until the next sweep.
 *
 * @param startMs - monotonic milliseconds at which it begins
 * @throws TypeError or RangeError for options that are out of range
 */
export function lifecycle(store: InstanceStore, options: LifecycleOptions = {}, startMs = 0): Lifecycle {
  return new Keeper(store, resolveLifecycle(options), startMs);
}

function resolveLifecycle(options: LifecycleOptions): typeof lifecycleDefaults {
  return resolveOptions('lifecycle', lifecycleDefaults, options, {
    expiryMs: { above: 0 },
    maxExpiryMs: { above: 0 },
    sweepIntervalMs: { above: 0 },
    recountIntervalMs: { above: 0 },
    keepRatio: { min: 0, max: 1 },
    protectRatio: { min: 0, max: 1 },
    protectMinInstances: { min: 0, integer: true },
  });
}
