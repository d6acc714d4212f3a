import {
  type Context,
  createContextKey,
  createTraceState,
  propagation,
  ROOT_CONTEXT,
  type SpanContext,
  type TraceState,
} from '@opentelemetry/api';
import type { Clock } from '../core/clock.js';
import type { NewIds } from './id-pool.js';
import type { LocalTrace } from './local-trace.js';
import { Rate } from './rate.js';
import { type Named, RouteMemories, type RouteMemory } from './route-memory.js';
import type { SamplingSettings } from './sampling.js';
import {
  type Decision,
  ourMember,
  rulesOf,
  type SamplingRule,
  signature,
  undecided,
} from './sampling-rule.js';
import { withoutFalseThreshold } from './threshold.js';
import { randomFlag, sampledFlag } from './trace-flags.js';

/** Where a context says of which trace it is known that a peer sent it that is not trusted. */
const strangerKey = createContextKey('keelson stranger');

/** Of a trace that came without a state. */
function withMember(state: TraceState | undefined, value: string): TraceState {
  return state?.set(ourMember, value) ?? createTraceState(`${ourMember}=${value}`);
}

/** Somebody wants to see this one. Wires take baggage only of peers that are trusted. */
function isDebug(within: Context): boolean {
  if (within === ROOT_CONTEXT) return false;
  const entry = propagation.getBaggage(within)?.getEntry('debug');
  return entry !== undefined && entry.value !== '0' && entry.value !== 'false';
}

/** A first span, where it begins. Most need not know when that is, and a look at the clock is a third of what they cost. */
export class FirstSpan implements Named {
  private at: number | undefined = undefined;

  constructor(
    readonly name: string,
    readonly within: Context,
    private readonly clock: Clock,
  ) {}

  get now(): number {
    this.at ??= this.clock.now();
    return this.at;
  }
}

/** A first span that has ended. */
export interface Outcome extends Named {
  readonly lengthMs: number;
}

interface Judged {
  readonly slow: boolean;
  readonly now: number;
}

/** What stays when traces are chosen differently. */
interface Memory {
  readonly routes: RouteMemories;
  readonly tokens: Rate;
  readonly failed: Rate;
  readonly slow: Rate;
  readonly debugged: Rate;
}

function remember(before: Memory | undefined, ruleOf: (name: string) => SamplingRule): Memory {
  before?.routes.follow(ruleOf);
  return (
    before ?? {
      routes: new RouteMemories(ruleOf),
      tokens: new Rate(),
      failed: new Rate(),
      slow: new Rate(),
      debugged: new Rate(),
    }
  );
}

/** The one rule for all routes, where nothing has to be known of them. */
function ruleOfAll(
  { mode, routes }: SamplingSettings,
  ruleOf: (name: string) => SamplingRule,
): SamplingRule | undefined {
  const learns = mode === 'tail' || mode === 'rateLimit' || Object.keys(routes).length > 0;
  return learns ? undefined : ruleOf('');
}

/** Decides about traces: where they begin, where they come in, and in `tail` where they end. */
export class Sampler {
  /** Whether nothing is recorded, of any route. */
  readonly isOff: boolean;
  private readonly memory: Memory;
  private readonly rule: SamplingRule | undefined;

  /** @param before - whose place it takes; what that one knows of routes, and has taken of its rates, counts on */
  constructor(
    readonly settings: SamplingSettings,
    before?: Sampler,
  ) {
    const ruleOf = rulesOf(settings);
    this.memory = remember(before?.memory, ruleOf);
    this.rule = ruleOfAll(settings, ruleOf);
    this.isOff = this.rule?.mode === 'off';
  }

  /** Whether a new trace begins although a caller has begun one. */
  restarts(remote: SpanContext): boolean {
    switch (this.settings.remote) {
      case 'continue':
        return false;
      case 'restart':
        return remote.isRemote === true;
      case 'restartExternal':
        return remote.isRemote === true && remote.traceState?.get(ourMember) === undefined;
    }
  }

  /** Decides about a trace that begins here. */
  begin(ids: NewIds, first: FirstSpan): Decision {
    if (this.rule !== undefined) return this.draw(this.rule, ids, first);
    const route = this.memory.routes.of(first);
    const { rule } = route;
    switch (rule.mode) {
      case 'rateLimit':
        return this.isWanted(first) || route.take(first.now) ? rule.forced : rule.dropped;
      case 'tail':
        return this.takes(route, first) ? rule.forced : rule.open;
      default:
        return this.draw(rule, ids, first);
    }
  }

  /** Decides about a trace that a caller has begun: as the caller did, if that one may. */
  resume(remote: SpanContext, first: FirstSpan): Decision {
    const rule = this.rule ?? this.memory.routes.of(first).rule;
    if (rule.mode === 'off') return rule.dropped;
    const { traceId, traceFlags, traceState } = remote;
    const watched = rule.mode === 'tail';
    if ((traceFlags & sampledFlag) !== 0) {
      if (!this.mayDecide(remote, first)) return this.doubt(rule, traceState);
      const random = (traceFlags & randomFlag) !== 0;
      const state = traceState && withoutFalseThreshold(traceState, traceId, random);
      return { fate: 'kept', state: this.signed(state), watched };
    }
    const open = watched && traceState?.get(ourMember) === undecided;
    if (open && this.isWanted(first)) return { fate: 'kept', state: traceState, watched: open };
    return { fate: open ? 'open' : 'dropped', state: traceState, watched: open };
  }

  /**
   * Learns from a trace whose first span has ended.
   *
   * @returns whether it is to be kept
   */
  judge(trace: LocalTrace, first: Outcome): boolean {
    const { now } = first;
    const route = this.memory.routes.of(first);
    const slow = trace.watched && route.isSlow(first.lengthMs, this.settings.slowQuantile, now);
    if (!this.isWorthIt(trace, route, { slow, now })) return false;
    route.kept(now);
    return true;
  }

  /** Whether a trace that has failed after its first span ended may be kept for that. */
  rescues(trace: LocalTrace, now: number): boolean {
    const { graceMs, outcomesPerSecond } = this.settings;
    const since = now - trace.endedAt;
    return trace.failed && since <= graceMs && this.memory.failed.take(outcomesPerSecond, now);
  }

  /** As it is chosen where nothing has to be known of the route. */
  private draw(rule: SamplingRule, ids: NewIds, first: FirstSpan): Decision {
    if (rule.always !== undefined) return rule.always;
    if (rule.threshold !== undefined && ids.reaches(rule.threshold)) return rule.chosen;
    return this.isWanted(first) ? rule.forced : rule.dropped;
  }

  private isWanted(first: FirstSpan): boolean {
    return isDebug(first.within) && this.memory.debugged.take(this.settings.debugPerSecond, first.now);
  }

  /** In `tail`: whether one is kept whatever comes of it. */
  private takes(route: RouteMemory, first: FirstSpan): boolean {
    const { rareMs, perSecond } = this.settings;
    const { now } = first;
    const due = this.isWanted(first) || route.isRare(rareMs, now) || this.memory.tokens.take(perSecond, now);
    if (due) route.kept(now);
    return due;
  }

  private isWorthIt(trace: LocalTrace, route: RouteMemory, { slow, now }: Judged): boolean {
    if (trace.fate !== 'open') return true;
    const { rareMs, outcomesPerSecond } = this.settings;
    if (trace.begun && route.isRare(rareMs, now)) return true;
    // Apart: of many traces so many are slow that those that failed would find nothing left.
    if (trace.failed) return this.memory.failed.take(outcomesPerSecond, now);
    return slow && this.memory.slow.take(outcomesPerSecond, now);
  }

  /**
   * Whether the caller's word counts that this trace is kept. Of anybody, as W3C has it; but where a rate is set, one who is
   * known to be a stranger gets no more of it than a trace of our own.
   */
  private mayDecide({ traceId }: SpanContext, first: FirstSpan): boolean {
    const { within } = first;
    if (this.rule !== undefined || within.getValue(strangerKey) !== traceId) return true;
    const route = this.memory.routes.of(first);
    switch (route.rule.mode) {
      case 'rateLimit':
        return route.take(first.now);
      case 'tail':
        return this.takes(route, first);
      default:
        return true;
    }
  }

  /** What becomes of a trace if its caller's word does not count. */
  private doubt({ mode }: SamplingRule, state: TraceState | undefined): Decision {
    if (mode !== 'tail') return { fate: 'dropped', state, watched: false };
    return { fate: 'open', state: withMember(state, undecided), watched: true };
  }

  private signed(state: TraceState | undefined): TraceState | undefined {
    if (this.settings.remote !== 'restartExternal' || state?.get(ourMember) !== undefined) return state;
    return withMember(state, signature);
  }
}
