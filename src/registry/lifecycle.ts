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
   * Between two sweeps; milliseconds, above 0. A larger value lets the dead stay for longer after they expired.
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
  /** To be told of registrations and cancellations. */
  readonly guard: RenewalGuard;
  /** Silence after which an instance is expired as things are; milliseconds. */
  readonly allowedMs: number;
  /** Silence after which it is expired whatever the guard says; milliseconds. */
  readonly longestMs: number;
  /** Whether instances that stopped renewing are kept for now: the guard says so, or it is too early to judge. */
  readonly protecting: boolean;
  /**
   * Judges as if the guard protected, for as long as an instance has until it expires: what is known now was not heard
   * from the instances themselves.
   */
  shelter(nowMs: number): void;
  /** To be called once per sweep interval. */
  sweep(at: Instant): Sweep;
}

/**
 * Of the time until expiry, in which everybody who lives is heard of: two renewals of the three that may be missed, a
 * minute at the defaults.
 */
const heardShare = 2 / 3;

class Keeper implements Lifecycle {
  readonly guard: RenewalGuard;
  private sweptMs: number;
  private countedMs: number;
  private shelteredUntilMs = Number.NEGATIVE_INFINITY;
  private sheltering = false;

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
    });
  }

  get longestMs(): number {
    return this.options.maxExpiryMs;
  }

  get allowedMs(): number {
    const { expiryMs, maxExpiryMs } = this.options;
    return this.protecting ? maxExpiryMs : Math.min(expiryMs, maxExpiryMs);
  }

  get protecting(): boolean {
    return this.sheltering || this.guard.protecting;
  }

  shelter(nowMs: number): void {
    this.shelteredUntilMs = nowMs + this.options.expiryMs;
    this.sheltering = true;
  }

  sweep(at: Instant): Sweep {
    const { store, options, guard } = this;
    const late = at.ms - this.sweptMs > options.sweepIntervalMs + options.expiryMs / 2;
    this.sweptMs = at.ms;
    const wasProtecting = guard.protecting;
    guard.heard(this.heardOf(at.ms));
    if (at.ms - this.countedMs >= options.recountIntervalMs) {
      this.countedMs = at.ms;
      guard.recount(store.instances);
    }
    store.forgetEmptied(at.ms - options.maxExpiryMs);
    store.expireCancelled(at.ms);
    // When most are heard of again the last ones still have to renew: until the next sweep, all had the time to.
    if (wasProtecting && !guard.protecting)
      this.shelteredUntilMs = Math.max(this.shelteredUntilMs, at.ms + options.sweepIntervalMs);
    this.sheltering = at.ms < this.shelteredUntilMs;
    const { allowedMs, protecting } = this;
    const expired: StoredInstance[] = [];
    for (const record of store.records())
      if (!record.permanent && at.ms - record.renewedMs > allowedMs) expired.push(record);
    if (late || expired.length === 0) return { expired: expired.length, evicted: [], protecting, late };
    const limit = evictionLimit(store.instances, options.keepRatio);
    const evicted = drawVictims(expired, limit, options.random);
    store.evict(evicted, at);
    guard.evicted(evicted.length);
    return { expired: expired.length, evicted, protecting, late };
  }

  private heardOf(nowMs: number): number {
    const sinceMs = nowMs - this.options.expiryMs * heardShare;
    let heard = 0;
    for (const { permanent, stale, renewedMs } of this.store.records())
      if (!permanent && !stale && renewedMs > sinceMs) heard++;
    return heard;
  }
}

/**
 * Makes the keeper of a store's instances: expiry, self-protection, eviction in small random batches.
 *
 * Source: `registry/registry.go` and `registry/guard.go` of bilibili/discovery. Differs: small registries are not
 * protected, living instances are counted instead of renewals ({@link renewalGuard}), and a registry that stood still
 * itself judges nobody until the next sweep.
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
