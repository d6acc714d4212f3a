import type { EarlyRefuser } from '../core/early-refusal.js';
import type { Ask, Permit } from '../core/gate.js';
import { costOf } from './cost.js';
import { Inflight } from './inflight.js';
import type { Limiter, LimiterSnapshot } from './limiter.js';
import { priorityShare } from './priority-share.js';
import { type RttLearner, RttPermit } from './rtt-permit.js';
import { type RttSample, RttWindow } from './rtt-window.js';

/** What {@link gradient} and {@link vegas} say of themselves. */
export interface RttSnapshot extends LimiterSnapshot {
  /** Mean rtt of the last window that said anything; milliseconds, `undefined` before the first. */
  readonly rttMs: number | undefined;
  /** The rtt that it is held against: of the long run, or without load; milliseconds, `undefined` while not known. */
  readonly baseRttMs: number | undefined;
}

/** A limiter whose limit follows how long calls take. */
export interface RttLimiter extends Limiter, EarlyRefuser {
  snapshot(now: number): RttSnapshot;
}

/** How a limit follows rtt. */
export interface RttLaw {
  /** How much may be in flight; 1 or more. */
  readonly limit: number;
  /** What rtt is held against; `NaN` while not known. */
  readonly baseRttMs: number;
  /** A window is over. */
  update(sample: RttSample): void;
}

/** What the laws have in common. */
export interface RttLimiterShape {
  readonly windowMs: number;
  readonly minSamples: number;
  readonly failures: 'count' | 'exclude';
  readonly priorityRatio: number;
}

/** Calls that took less, or more, say more of the clock than of anything else; milliseconds. */
const leastRttMs = 0.1;
const mostRttMs = 3_600_000;

/** The limiter around a law. */
export class LawLimiter implements RttLimiter, RttLearner {
  readonly code = 'OVERLOADED';
  readonly inflight = new Inflight();
  private readonly window: RttWindow;
  private readonly countFailures: boolean;
  private readonly priorityRatio: number;
  private rttMs: number | undefined = undefined;

  constructor(
    private readonly law: RttLaw,
    shape: RttLimiterShape,
  ) {
    this.window = new RttWindow(shape.windowMs, shape.minSamples);
    this.countFailures = shape.failures === 'count';
    this.priorityRatio = shape.priorityRatio;
  }

  tryAcquire(now: number, ask?: Ask): Permit | null {
    const cost = costOf(ask);
    if (this.isOver(cost, ask)) return null;
    this.inflight.enter(cost);
    this.window.enter(this.inflight.amount);
    return new RttPermit(this, cost, now);
  }

  get refusing(): boolean {
    return this.inflight.amount + 1 > this.law.limit * (1 - this.priorityRatio);
  }

  refuseEarly(_now: number, ask: Ask): boolean {
    return this.isOver(costOf(ask), ask);
  }

  learn({ verdict, startedAt }: RttPermit, now: number): void {
    const lost = verdict === 'lost';
    if (verdict !== 'success' && !lost && !(verdict === 'failure' && this.countFailures)) return;
    const rttMs = now - startedAt;
    // Nor does a clock that stepped back or jumped ahead during the call, or is none, say how long it took.
    if (!(rttMs >= leastRttMs && rttMs <= mostRttMs)) return;
    this.window.add(rttMs, lost);
    const sample = this.window.close(now, this.inflight.amount);
    if (sample === undefined) return;
    this.rttMs = sample.rttMs;
    this.law.update(sample);
  }

  snapshot(): RttSnapshot {
    const { limit, baseRttMs } = this.law;
    return {
      inflight: this.inflight.amount,
      limit,
      rttMs: this.rttMs,
      baseRttMs: Number.isNaN(baseRttMs) ? undefined : baseRttMs,
    };
  }

  /** What finds nothing in flight passes: a limit that admits nobody could never learn that it is too low. */
  private isOver(cost: number, ask: Ask | undefined): boolean {
    const { amount } = this.inflight;
    return amount > 0 && amount + cost > this.law.limit * priorityShare(ask?.priority, this.priorityRatio);
  }
}
