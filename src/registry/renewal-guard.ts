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
  /**
   * Renewals that a live instance sends between two turns; above 0. With a turn each minute and a renewal each 30 s: 2.
   *
   * @defaultValue `2`
   */
  readonly renewalsPerTurn?: number | undefined;
}

/** Defaults of {@link RenewalGuardOptions}. */
export const renewalGuardDefaults = { ratio: 0.85, minInstances: 10, renewalsPerTurn: 2 };

/** Tells a failing network from failing instances: when very many renewals are missing at once, it is the network. */
export interface RenewalGuard {
  /** Renewals expected per turn. */
  readonly expected: number;
  /** Fewest renewals in a turn with which expiry is believed. */
  readonly threshold: number;
  /** Renewals seen in the last full turn. */
  readonly seen: number;
  /** Whether instances that do not renew are to be kept for now. */
  readonly protecting: boolean;
  /** An instance registered that was not there. */
  added(): void;
  /** An instance said goodbye. An eviction is not told: what vanished goes on counting as expected until the recount. */
  removed(): void;
  /** An instance renewed. */
  renewed(): void;
  /** Starts again from the true number of instances. */
  recount(instances: number): void;
  /** A turn is over. */
  turn(): void;
}

class Guard implements RenewalGuard {
  seen = 0;
  private instances = 0;
  private counting = 0;

  constructor(
    private readonly ratio: number,
    private readonly minInstances: number,
    private readonly renewalsPerTurn: number,
  ) {}

  get expected(): number {
    return this.instances * this.renewalsPerTurn;
  }
  get threshold(): number {
    return Math.floor(this.expected * this.ratio);
  }
  get protecting(): boolean {
    return this.instances >= this.minInstances && this.seen < this.threshold;
  }
  added(): void {
    this.instances++;
  }
  removed(): void {
    this.instances = Math.max(0, this.instances - 1);
  }
  renewed(): void {
    this.counting++;
  }
  recount(instances: number): void {
    this.instances = Math.max(0, instances);
  }
  turn(): void {
    this.seen = this.counting;
    this.counting = 0;
  }
}

/**
 * Makes the guard that keeps a registry from evicting everybody because its own network failed.
 *
 * Source: `registry/guard.go` of bilibili/discovery (after Netflix Eureka's self-preservation). There it also protects
 * registries of two or three instances, where one crash is a third of the renewals; hence `minInstances`.
 *
 * @throws TypeError or RangeError for options that are out of range
 * @example
 * ```ts
 * const guard = renewalGuard({ minInstances: 3 });
 * ```
 */
export function renewalGuard(options: RenewalGuardOptions = {}): RenewalGuard {
  const { ratio, minInstances, renewalsPerTurn } = resolveOptions(
    'renewalGuard',
    renewalGuardDefaults,
    options,
    {
      ratio: { min: 0, max: 1 },
      minInstances: { min: 0, integer: true },
      renewalsPerTurn: { above: 0 },
    },
  );
  return new Guard(ratio, minInstances, renewalsPerTurn);
}
