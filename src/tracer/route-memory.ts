import { LatencyHistogram } from '../stats/latency-histogram.js';
import { Rate } from './rate.js';
import type { SamplingRule } from './sampling-rule.js';

/** Most routes that are told apart; the rest are one. */
const maxRoutes = 1000;
/** When there are more, names are no routes, or old ones are dead: after so long they are learnt anew. */
const relearnMs = 600_000;
/** Of this time, or half of it, the latencies of a route are known. */
const windowMs = 600_000;
/** A quantile that is so old is good enough. */
const refreshMs = 1000;

/** What is known of one route. */
export class RouteMemory {
  private readonly rate = new Rate();
  private latency: LatencyHistogram | undefined = undefined;
  private keptAt = Number.NaN;

  constructor(public rule: SamplingRule) {}

  /** Takes one of as many per second as the rule allows. */
  take(now: number): boolean {
    return this.rate.take(this.rule.perSecond, now);
  }

  /** A trace of it is kept. */
  kept(now: number): void {
    this.keptAt = now;
  }

  /** Whether none was kept for so long. A clock that was set back makes it so too. */
  isRare(rareMs: number, now: number): boolean {
    const since = now - this.keptAt;
    return !(since >= 0 && since < rareMs);
  }

  /**
   * Learns how long a trace of it took.
   *
   * @returns whether that is above the quantile; while few are known, nothing is
   */
  isSlow(lengthMs: number, quantile: number, now: number): boolean {
    this.latency ??= new LatencyHistogram(windowMs, refreshMs);
    const enough = this.latency.count(now) >= 2 / (1 - quantile);
    const slow = enough && lengthMs > this.latency.quantile(quantile, now);
    this.latency.add(lengthMs, now);
    return slow;
  }
}

/** The name of a span, and when that is asked for. */
export interface Named {
  readonly name: string;
  /** Monotonic. Read only if there is need. */
  readonly now: number;
}

/** What is known of each route, for a bounded number of them. */
export class RouteMemories {
  private known = new Map<string, RouteMemory>();
  /** Of names beyond the limit, one for each pattern: what is counted and timed there is shared. */
  private readonly others = new Map<string, RouteMemory>();
  private fullSince = Number.NaN;
  private ruleOf: (name: string) => SamplingRule;

  /** @param ruleOf - asked once for each route */
  constructor(ruleOf: (name: string) => SamplingRule) {
    this.ruleOf = ruleOf;
  }

  /** From now on there are other rules. What is known of routes stays known. */
  follow(ruleOf: (name: string) => SamplingRule): void {
    this.ruleOf = ruleOf;
    for (const [name, route] of this.known) route.rule = ruleOf(name);
    // Patterns that come and go must not fill the memory.
    if (this.others.size > maxRoutes) this.others.clear();
  }

  of(span: Named): RouteMemory {
    return this.known.get(span.name) ?? this.learn(span);
  }

  private learn(span: Named): RouteMemory {
    const { name } = span;
    if (this.known.size >= maxRoutes) {
      const { now } = span;
      if (Number.isNaN(this.fullSince)) this.fullSince = now;
      if (Math.abs(now - this.fullSince) < relearnMs) return this.shared(this.ruleOf(name));
      this.known = new Map();
      this.fullSince = Number.NaN;
    }
    const route = new RouteMemory(this.ruleOf(name));
    this.known.set(name, route);
    return route;
  }

  private shared(rule: SamplingRule): RouteMemory {
    const known = this.others.get(rule.pattern);
    if (known !== undefined) {
      known.rule = rule;
      return known;
    }
    const route = new RouteMemory(rule);
    this.others.set(rule.pattern, route);
    return route;
  }
}
