import { resolveOptions } from '../core/options.js';

/** Options of a slow start. */
export interface SlowStartOptions {
  /**
   * How long a newcomer takes to its full weight; milliseconds, above 0. A larger value spares a cold process longer
   * and leans longer on the others. No effect on the endpoints of the first list, where everybody is new.
   *
   * @defaultValue `5000`
   */
  readonly rampMs?: number | undefined;
  /**
   * Share of its weight that a newcomer starts with; above 0, at most 1. A larger value sends more to a cold process;
   * 1 switches the ramp off.
   *
   * @defaultValue `0.1`
   */
  readonly floorRatio?: number | undefined;
  /**
   * Bends the ramp: the share is `(age / rampMs) ** (1 / aggression)`; above 0. 1 is a straight line, a larger value
   * gives most of the weight early.
   *
   * @defaultValue `1`
   */
  readonly aggression?: number | undefined;
}

/** Defaults of {@link SlowStartOptions}. */
export const slowStartDefaults = { rampMs: 5000, floorRatio: 0.1, aggression: 1 };

/**
 * The share of its weight that a newcomer counts with. A process that just started has cold caches and code that is
 * not compiled yet; a full share of the traffic would make its first seconds its slowest.
 *
 * Source: Envoy, "Slow start mode"; the same formula. There the ramp applies however many are new; here it is called
 * off when more than half of a set are (see `EndpointSet`), because the few others would carry everything.
 */
export class SlowStart {
  /** How long the ramp is. */
  readonly rampMs: number;
  private readonly floor: number;
  private readonly exponent: number;

  constructor(options: SlowStartOptions) {
    const { rampMs, floorRatio, aggression } = resolveOptions('slowStart', slowStartDefaults, options, {
      rampMs: { above: 0 },
      floorRatio: { above: 0, max: 1 },
      aggression: { above: 0 },
    });
    this.rampMs = rampMs;
    this.floor = floorRatio;
    this.exponent = 1 / aggression;
  }

  /** @param ageMs - since it joined; below 0 after a clock that stepped back */
  share(ageMs: number): number {
    if (ageMs >= this.rampMs) return 1;
    return Math.max(this.floor, Math.max(0, ageMs / this.rampMs) ** this.exponent);
  }
}
