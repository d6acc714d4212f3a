import type { Endpoint } from '../core/endpoint.js';
import { freePermit } from '../core/gate.js';
import { resolveOptions } from '../core/options.js';
import type { Outcome } from '../core/outcome.js';
import { Attendance, type Judge } from './attendance.js';
import type { Balancer, EndpointSnapshot, Lease, PickHint, Witness } from './balancer.js';
import { Conduct, charge, Slices, Tally } from './conduct.js';
import { type Ejection, type OutlierEjectionOptions, outlierEjectionDefaults } from './ejection-options.js';
import { checkInner } from './filter.js';
import { WatchedLease, Witnesses } from './watched-lease.js';

/** A trial call that ended without a verdict (refused by a gate here, cancelled) is repeated after this long. */
const retrialMs = 100;

class OutlierEjection<E extends Endpoint> implements Balancer<E>, Judge<E> {
  private endpoints: readonly E[] = [];
  private conducts = new Map<string, Conduct<E>>();
  private readonly ejected = new Set<Conduct<E>>();
  private readonly all: Tally;
  private readonly slices: Slices;
  /** Whether the inner balancer's own leases tell how calls end. */
  private readonly attends: boolean;
  private updates = 0;
  private unwell = 0;
  private panicking = false;
  /** The inner balancer's list is not what it should be. */
  private outdated = false;
  private nextTrialAt = Number.POSITIVE_INFINITY;
  /** Until then there is nothing to do at a pick: the list is right, no trial is due, and the inner balancer's leases tell the rest. */
  private quietUntil = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly inner: Balancer<E>,
    private readonly options: typeof outlierEjectionDefaults,
  ) {
    this.all = new Tally(options.windowMs);
    this.slices = new Slices(options.windowMs);
    this.attends = inner.attend !== undefined;
  }

  update(endpoints: readonly E[], now: number): void {
    this.updates++;
    const before = this.conducts;
    this.endpoints = endpoints;
    this.conducts = new Map();
    for (const endpoint of endpoints) {
      if (this.conducts.has(endpoint.id)) continue;
      const conduct = before.get(endpoint.id) ?? new Conduct(endpoint, this.options.windowMs);
      conduct.endpoint = endpoint;
      conduct.seenIn = this.updates;
      this.conducts.set(endpoint.id, conduct);
    }
    for (const conduct of before.values()) if (conduct.seenIn !== this.updates) this.forget(conduct);
    this.keepCeiling(now);
    this.refresh(now);
  }

  pick(now: number, hint?: PickHint): Lease<E> | null {
    return now < this.quietUntil ? this.inner.pick(now, hint) : this.pickWithCare(now, hint);
  }

  attend(id: string, witness: Witness): void {
    const conduct = this.conducts.get(id);
    if (conduct === undefined) return;
    conduct.outer = witness;
    this.inner.attend?.(id, this.witness(conduct));
  }

  snapshot(now: number): readonly EndpointSnapshot[] {
    const inner = new Map(this.inner.snapshot?.(now).map((entry) => [entry.id, entry]));
    return Array.from(this.conducts.values(), ({ endpoint, inflight, ejectedUntil }) => ({
      id: endpoint.id,
      url: endpoint.url,
      weight: inner.get(endpoint.id)?.weight ?? 0,
      inflight,
      load: inner.get(endpoint.id)?.load,
      ejectedUntil,
    }));
  }

  /** Takes the verdict of one call that began in the present term of the endpoint. */
  learn(conduct: Conduct<E>, outcome: Outcome, now: number): void {
    const out = conduct.ejectedUntil !== undefined;
    if (outcome === 'unsent' || outcome === 'ignored') {
      if (out) this.retry(conduct, now);
      return;
    }
    // One that sheds is alive: fewer calls help it, none would crush the others. That is the meter's matter.
    const failed = outcome === 'failure';
    if (out) {
      if (!failed) this.readmit(conduct, this.panicking ? 'panic' : 'probe', now);
      else if (!this.panicking) this.sentence(conduct, now);
      return;
    }
    if (failed) this.blame(conduct, now);
    else this.praise(conduct, now);
  }

  /** It served. */
  praise(conduct: Conduct<E>, now: number): void {
    const slice = this.slices.at(now);
    this.all.succeeded(slice, now);
    conduct.tally.succeeded(slice, now);
    if (conduct.run !== 0) this.endRun(conduct);
  }

  /** Nothing is heard any more of the calls before this. */
  private begin(conduct: Conduct<E>): void {
    conduct.term++;
    this.inner.attend?.(conduct.endpoint.id, this.witness(conduct));
  }

  private witness(conduct: Conduct<E>): Witness {
    const own = new Attendance(this, conduct);
    return conduct.outer === undefined ? own : new Witnesses(own, conduct.outer);
  }

  private blame(conduct: Conduct<E>, now: number): void {
    this.all.failed(now);
    conduct.tally.failed(now);
    conduct.run++;
    this.mark(conduct, conduct.run >= this.options.consecutiveFailures);
    const reason = charge(conduct, this.all, this.options, now);
    if (reason !== undefined && this.ejected.size < this.ceiling()) this.eject(conduct, reason, now);
  }

  private endRun(conduct: Conduct<E>): void {
    conduct.run = 0;
    this.mark(conduct, false);
  }

  private pickWithCare(now: number, hint: PickHint | undefined): Lease<E> | null {
    if (now >= this.nextTrialAt && !this.panicking) {
      const conduct = this.dueForTrial(now, hint?.avoid);
      if (conduct !== undefined) return this.try(conduct, now);
    }
    if (this.outdated) this.refresh(now);
    const lease = this.inner.pick(now, hint);
    if (lease === null || this.attends) return lease;
    const conduct = this.conducts.get(lease.endpoint.id);
    // An inner balancer may know endpoints that nobody told it here; it answers for them itself.
    return conduct === undefined
      ? lease
      : new WatchedLease(this.witness(conduct), lease.endpoint, lease.reason, lease);
  }

  private eject(conduct: Conduct<E>, reason: Ejection['reason'], now: number): void {
    const livedDown = Math.floor((now - conduct.returnedAt) / this.options.windowMs);
    conduct.strikes = Math.max(0, conduct.strikes - Math.max(0, livedDown));
    this.ejected.add(conduct);
    this.mark(conduct, true);
    this.sentence(conduct, now);
    this.expire();
    this.tell(conduct, reason, now);
  }

  private sentence(conduct: Conduct<E>, now: number): void {
    const { baseEjectionMs, maxEjectionMs } = this.options;
    const termMs = Math.min(maxEjectionMs, baseEjectionMs * 2 ** conduct.strikes);
    // Beyond the longest term a strike would only take longer to live down.
    if (termMs < maxEjectionMs) conduct.strikes++;
    conduct.dueAt = now + termMs;
    this.scheduleTrial(conduct, conduct.dueAt);
  }

  /** A call said nothing: another trial soon, if it was one. In a panic it may be any call, and no term is cut short by it. */
  private retry(conduct: Conduct<E>, now: number): void {
    const at = Math.max(conduct.dueAt, now + retrialMs);
    if (at < (conduct.ejectedUntil as number)) this.scheduleTrial(conduct, at);
  }

  private scheduleTrial(conduct: Conduct<E>, at: number): void {
    this.begin(conduct);
    conduct.ejectedUntil = at;
    this.reckon();
  }

  private dueForTrial(now: number, avoid: ReadonlySet<string> | undefined): Conduct<E> | undefined {
    for (const conduct of this.ejected) {
      if ((conduct.ejectedUntil as number) <= now && !avoid?.has(conduct.endpoint.id)) return conduct;
    }
    return undefined;
  }

  /** The inner balancer is not asked: it does not know of the endpoint, and one call does not unbalance it. */
  private try(conduct: Conduct<E>, now: number): Lease<E> {
    this.scheduleTrial(conduct, now + this.options.maxEjectionMs);
    return new WatchedLease(this.witness(conduct), conduct.endpoint, 'probe', freePermit);
  }

  private readmit(conduct: Conduct<E>, reason: Ejection['reason'], now: number): void {
    this.ejected.delete(conduct);
    this.begin(conduct);
    conduct.ejectedUntil = undefined;
    conduct.returnedAt = now;
    conduct.run = 0;
    conduct.tally.reset();
    this.mark(conduct, false);
    this.expire();
    this.tell(conduct, reason, now);
  }

  private forget(conduct: Conduct<E>): void {
    conduct.term++;
    this.ejected.delete(conduct);
    this.mark(conduct, false);
  }

  private mark(conduct: Conduct<E>, unwell: boolean): void {
    if (conduct.unwell === unwell) return;
    conduct.unwell = unwell;
    this.unwell += unwell ? 1 : -1;
    if (this.inPanic() !== this.panicking) this.expire();
  }

  private expire(): void {
    this.outdated = true;
    this.reckon();
  }

  private reckon(): void {
    this.nextTrialAt = Number.POSITIVE_INFINITY;
    for (const { ejectedUntil } of this.ejected)
      this.nextTrialAt = Math.min(this.nextTrialAt, ejectedUntil as number);
    this.quietUntil = this.attends && !this.outdated ? this.nextTrialAt : Number.NEGATIVE_INFINITY;
  }

  private inPanic(): boolean {
    const { size } = this.conducts;
    return this.ejected.size > 0 && size - this.unwell < this.options.panicRatio * size;
  }

  private ceiling(): number {
    const { size } = this.conducts;
    return Math.min(size - 1, Math.floor(size * this.options.maxEjectedRatio));
  }

  private keepCeiling(now: number): void {
    const surplus = this.ejected.size - this.ceiling();
    if (surplus <= 0) return;
    const soonest = [...this.ejected].sort((a, b) => (a.ejectedUntil as number) - (b.ejectedUntil as number));
    for (const conduct of soonest.slice(0, surplus)) this.readmit(conduct, 'ceiling', now);
  }

  private refresh(now: number): void {
    this.outdated = false;
    this.reckon();
    this.panicking = this.inPanic();
    const everybody = this.panicking || this.ejected.size === 0;
    this.inner.update(
      everybody
        ? this.endpoints
        : this.endpoints.filter(({ id }) => this.conducts.get(id)?.ejectedUntil === undefined),
      now,
    );
    if (this.inner.attend === undefined) return;
    for (const [id, conduct] of this.conducts) this.inner.attend(id, this.witness(conduct));
  }

  private tell({ endpoint, ejectedUntil }: Conduct<E>, reason: Ejection['reason'], now: number): void {
    try {
      this.options.onEjection?.({ endpoint, ejected: ejectedUntil !== undefined, reason, now });
    } catch {
      // A listener's fault is not the call's that happened to be the last straw.
    }
  }
}

/**
 * Keeps endpoints that are worse than the others out of the picks for a while, judged by the calls that are made
 * anyway. Works around any balancer: the inner one is told of the endpoints that are in, and of nobody else.
 *
 * An endpoint is ejected after failures in a row (a killed process fails every call at once: five calls notice), or
 * when too many of its calls fail while those to others do not. When its time is up, one call tries it; only if that
 * is answered it returns, as a newcomer to the inner balancer, which may start it slowly. When most endpoints fail alike,
 * the cause is behind them and ejecting helps nobody: then nobody is ejected, and below `panicRatio` everybody is used.
 *
 * It needs nobody's help and no probes of its own, so it is right for nearly every client. Not with an endpoint that
 * is alone: that one is never ejected, a breaker throttles it. There are no timers: time passes with picks.
 *
 * `failure` counts against an endpoint, `success` and `overload` for it (one that sheds is alive), the rest says nothing.
 *
 * @throws TypeError or RangeError for what is no balancer, and for options that are unknown or out of range
 * @example
 * ```ts
 * const balancer = outlierEjection(p2c({ slowStart: {} }), { onEjection: (event) => log(event) });
 * ```
 *
 * Source: Envoy, "Outlier detection" (consecutive errors, growing ejection, ceiling) and its panic threshold. Here an
 * ejection ends with one call instead of full traffic, both rules compare with the other endpoints, and panic
 * looks at failures rather than at how many are ejected.
 */
export function outlierEjection<E extends Endpoint = Endpoint>(
  inner: Balancer<E>,
  options?: OutlierEjectionOptions,
): Balancer<E> {
  checkInner('outlierEjection', inner);
  const resolved = resolveOptions('outlierEjection', outlierEjectionDefaults, options, {
    consecutiveFailures: { min: 1, integer: true },
    failureRatio: { above: 0, max: 1 },
    minRequests: { min: 1, integer: true },
    windowMs: { above: 0 },
    baseEjectionMs: { above: 0 },
    maxEjectionMs: { min: options?.baseEjectionMs ?? outlierEjectionDefaults.baseEjectionMs },
    maxEjectedRatio: { min: 0, max: 1 },
    panicRatio: { min: 0, max: 1 },
  });
  return new OutlierEjection(inner, resolved);
}
