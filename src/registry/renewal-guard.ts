import { resolveOptions } from '../core/options.js';

/** What a {@link renewalGuard} is made of. */
export interface RenewalGuardOptions {
  /**
   * Share of the expected renewals below which expiry is not believed; 0 to 1. A larger value protects sooner.
   *
   * @defaultValue `0.85`
   */
  readonly ratio?: number | undefined;
  /**
   * Fewest instances that are protected; a whole number, 0 or more. Below it a single crash is already a large share,
   * and would keep its own instance listed for an hour.
   *
   * @defaultValue `10`
   */
  readonly minInstances?: number | undefined;
}

/** Defaults of {@link RenewalGuardOptions}. */
export const renewalGuardDefaults = { ratio: 0.85, minInstances: 10 };

/** Tells a failing network from failing instances: when very many renewals are missing at once, it is the network. */
export interface RenewalGuard {
  /** Renewals expected per minute: two of each instance. */
  readonly expected: number;
  /** Fewest renewals per minute with which expiry is believed. */
  readonly threshold: number;
  /** Renewals per minute, as far as they count: two of each instance that was heard of. */
  readonly seen: number;
  /** Whether instances that do not renew are to be kept for now. */
  readonly protecting: boolean;
  /** An instance registered that was not there. */
  added(): void;
  /** An instance said goodbye. */
  removed(): void;
  /** Instances were evicted. What vanished goes on counting as expected until the recount, or until it returns. */
  evicted(instances: number): void;
  /** How many instances registered or renewed in the minute that ends now. */
  heard(instances: number): void;
  /** Starts again from the true number of instances. */
  recount(instances: number): void;
}

const renewalsPerMinute = 2;

class Guard implements RenewalGuard {
  seen = 0;
  private instances = 0;
  private vanished = 0;

  constructor(
    private readonly ratio: number,
    private readonly minInstances: number,
  ) {}

  get expected(): number {
    return this.instances * renewalsPerMinute;
  }
  get threshold(): number {
    return Math.floor(this.expected * this.ratio);
  }
  get protecting(): boolean {
    return this.instances >= this.minInstances && this.seen < this.threshold;
  }
  added(): void {
    if (this.vanished > 0) this.vanished--;
    else this.instances++;
  }
  removed(): void {
    this.instances = Math.max(0, this.instances - 1);
    this.vanished = Math.min(this.vanished, this.instances);
  }
  evicted(instances: number): void {
    this.vanished = Math.min(this.instances, this.vanished + Math.max(0, instances));
  }
  heard(instances: number): void {
    this.seen = Math.max(0, instances) * renewalsPerMinute;
  }
  recount(instances: number): void {
    this.instances = Math.max(0, instances);
    this.vanished = 0;
  }
}

/**
 * Makes the guard that keeps a registry from evicting everybody because its own network failed.
 *
 * With n instances of which k are dead it protects when 2 (n - k) < int(2 n × ratio). At the default ratio one dead is
 * enough of up to 3, two of 4 to 10, three of 11 to 16: a crash of one of three looks just like the loss of a third of
 * the network, and no count can tell them apart. So below `minInstances` it does not protect at all, and the dead leave
 * after their expiry; from there on it takes two to die at once.
 *
 * Source: `registry/guard.go` of bilibili/discovery (after Netflix Eureka's self-preservation), whose arithmetic this
 * is. There renewals are counted per clock minute; at one each 30 s an instance falls into it once, twice or three times
 * by chance, so that two instances, one of them dead, are protected in one minute and not in the next. Here instances
 * are counted, over the minute before each look: each that lives exactly once. There an instance that was evicted and
 * comes back is expected twice, so that each cut makes the next quarter of an hour more protective; here once. And there
 * even the smallest registries are protected.
 *
 * @throws TypeError or RangeError for options that are out of range
 * @example
 * ```ts
 * const guard = renewalGuard({ minInstances: 3 });
 * ```
 */
export function renewalGuard(options: RenewalGuardOptions = {}): RenewalGuard {
  const { ratio, minInstances } = resolveOptions('renewalGuard', renewalGuardDefaults, options, {
    ratio: { min: 0, max: 1 },
    minInstances: { min: 0, integer: true },
  });
  return new Guard(ratio, minInstances);
}
