import { resolveOptions } from '../core/options.js';
import type { Feedback, Outcome } from '../core/outcome.js';
import type { LoadMeter, Metering } from './meter.js';

/** Options of {@link c3}. */
export interface C3Options {
  /**
   * How many clients the service has: each of them is taken to have as many calls in flight as this one; 1 or more. A larger
   * value spreads the calls of this client wider.
   *
   * @defaultValue `10`
   */
  readonly clients?: number | undefined;
  /**
   * Weight of the past in the averages of latency, queue and service time; 0 to below 1. A larger value is calmer and
   * notices later.
   *
   * @defaultValue `0.9`
   */
  readonly keptRatio?: number | undefined;
}

/** Defaults of {@link C3Options}. */
export const c3Defaults = { clients: 10, keptRatio: 0.9 };

/** Load of an endpoint that has calls in flight and never answered one: dearer than any that did. */
const unmeasured = 1e15;

class C3 implements LoadMeter {
  private inflight = 0;
  private answered = false;
  private latencyMs = 0;
  private serviceMs = 0;
  private queue = 0;

  constructor(private readonly options: typeof c3Defaults) {}

  start(): void {
    this.inflight++;
  }
  load(): number {
    if (!this.answered) return this.inflight * unmeasured;
    const estimate = 1 + this.inflight * this.options.clients + this.queue;
    return Math.max(0, this.latencyMs - this.serviceMs) + estimate ** 3 * this.serviceMs;
  }
  answer(outcome: Outcome, startedAt: number, now: number, feedback?: Feedback): void {
    if (outcome === 'unsent') return;
    const elapsedMs = Math.max(0, now - startedAt);
    if (outcome === 'ignored' && !(elapsedMs > this.latencyMs)) return;
    this.latencyMs = this.average(this.latencyMs, elapsedMs);
    const { serviceMs, backlogMs } = feedback?.load ?? {};
    // A server that says nothing is taken to have no queue, and to need the whole latency.
    const service = sound(serviceMs) && serviceMs > 0 ? serviceMs : this.latencyMs;
    this.serviceMs = this.average(this.serviceMs, service);
    this.queue = this.average(this.queue, sound(backlogMs) ? backlogMs / service : 0);
    this.answered = true;
  }
  end(): void {
    this.inflight--;
  }

  private average(before: number, sample: number): number {
    const { keptRatio } = this.options;
    return this.answered ? before * keptRatio + sample * (1 - keptRatio) : sample;
  }
}

function sound(ms: number | undefined): ms is number {
  return ms !== undefined && ms >= 0 && ms < Number.POSITIVE_INFINITY;
}

/**
 * The ranking of C3: `R - 1/μ + (1 + inflight × clients + q)³ / μ`, with the queue `q` and the service time `1/μ` that the
 * server reports, and this client's own average of the latency `R`.
 *
 * To compare with. {@link serverBacklog} knows failures, calls that are overdue and servers that say nothing, and
 * does not have to be told how many clients there are. With {@link p2c} it is not C3, which looks at all: {@link leastLoad}.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 * @example
 * ```ts
 * const balancer = leastLoad({ meter: c3({ clients: 30 }), toleranceRatio: 0 });
 * ```
 *
 * Source: L. Suresh, M. Canini, S. Schmid, A. Feldmann, "C3: Cutting Tail Latency in Cloud Data Stores via Adaptive Replica
 * Selection", NSDI 2015. Without its rate control. `q` is the reported backlog over the reported service time;
 * below 0, which reports that do not fit together would make of it, `R - 1/μ` is 0.
 */
export function c3(options?: C3Options): Metering {
  const resolved = resolveOptions('c3', c3Defaults, options, {
    clients: { min: 1 },
    keptRatio: { min: 0 },
  });
  if (!(resolved.keptRatio < 1)) throw new RangeError(`c3.keptRatio must be < 1, got ${resolved.keptRatio}`);
  return () => new C3(resolved);
}
