import type { Permit } from '../core/gate.js';
import type { Outcome } from '../core/outcome.js';
import { RollingCounter } from '../stats/rolling-counter.js';
import { AnnouncedState } from './announced-state.js';
import type { Breaker, BreakerMode, BreakerSnapshot, BreakerState } from './breaker.js';
import { ProbeRound } from './probe-round.js';
import {
  type ThresholdOptions,
  type ThresholdSettings,
  thresholdDefaults,
  thresholdSettings,
} from './threshold-options.js';

const requests = 0;
const failures = 1;
const slow = 2;
const channels = 3;

class ThresholdPermit implements Permit {
  private observed = false;
  private released = false;

  constructor(
    private readonly breaker: Threshold,
    readonly startedAt: number,
    readonly period: number,
    readonly probe: boolean,
  ) {}

  observe(outcome: Outcome, now: number): void {
    if (this.observed) return;
    this.observed = true;
    this.breaker.learn(this, outcome, now);
  }
  release(outcome: Outcome, now: number): void {
    if (this.released) return;
    this.released = true;
    this.breaker.inflight--;
    this.observe(outcome, now);
  }
}

class Threshold implements Breaker<ThresholdOptions> {
  readonly code = 'BREAKER_OPEN';
  inflight = 0;
  private readonly announced: AnnouncedState;
  private window: RollingCounter;
  private state: BreakerState = 'closed';
  /** Counts changes of state: a result that began in another period is not evidence for this one. */
  private period = 0;
  private inARow = 0;
  private openedAt = 0;
  private openForMs = 0;
  /** How often it opened since it was last closed. */
  private openings = 0;
  private readonly round = new ProbeRound();

  constructor(private settings: ThresholdSettings) {
    this.announced = new AnnouncedState(settings);
    this.window = new RollingCounter(settings.windowMs, settings.buckets, channels);
  }

  tryAcquire(now: number): Permit | null {
    this.advance(now);
    const { mode, probes } = this.settings;
    if (mode === 'open') return null;
    const probe = this.state === 'half-open' && this.round.admit(probes, now);
    if (mode === 'auto' && this.state !== 'closed' && !probe) return null;
    this.inflight++;
    return new ThresholdPermit(this, now, this.period, probe);
  }

  retryAfterMs(now: number): number | undefined {
    if (this.settings.mode !== 'auto' || this.state !== 'open') return undefined;
    return Math.min(this.openForMs, Math.max(0, this.openedAt + this.openForMs - now));
  }

  /** Takes in how a call ended: once for each, when its verdict is known. */
  learn(permit: ThresholdPermit, outcome: Outcome, now: number): void {
    this.advance(now);
    if (permit.period !== this.period) return;
    if (outcome === 'ignored' || outcome === 'unsent') {
      if (permit.probe) this.round.withdraw();
      return;
    }
    const isSlow = now - permit.startedAt >= this.settings.slowMs;
    if (permit.probe) this.learnOfProbe(outcome === 'success' && !isSlow, now);
    else if (this.state === 'closed') this.learnOfCall(outcome === 'success', isSlow, now);
  }

  snapshot(now: number): BreakerSnapshot {
    this.advance(now);
    const total = this.window.total(now, requests);
    return {
      state: this.announced.current,
      mode: this.settings.mode,
      refusalRatio: this.refuses() ? 1 : 0,
      requests: total,
      successes: total - this.window.total(now, failures),
      inflight: this.inflight,
    };
  }

  force(mode: BreakerMode, now: number): void {
    this.reconfigure({ mode }, now);
  }

  reconfigure(options: ThresholdOptions, now: number): void {
    const before = this.settings;
    const after = thresholdSettings(before, options);
    this.settings = after;
    this.announced.by = after;
    if (after.windowMs !== before.windowMs || after.buckets !== before.buckets)
      this.window = new RollingCounter(after.windowMs, after.buckets, channels);
    this.advance(now);
    // With fewer probes asked for, those that are back may be all there are.
    if (this.state === 'half-open') this.judgeRound(now);
    this.announced.become(this.state, now);
  }

  reset(now: number): void {
    this.close(now);
  }

  private refuses(): boolean {
    const { mode, probes } = this.settings;
    if (mode === 'open' || mode === 'closed') return mode === 'open';
    return this.state === 'open' || (this.state === 'half-open' && this.round.full(probes));
  }

  /** What the passing of time alone has changed; there is no timer. */
  private advance(now: number): void {
    if (this.state === 'closed') return;
    if (this.state === 'half-open') {
      this.round.notAfter(now);
      const givenUpAt = this.round.givenUpAt(this.settings.probes, this.settings.probeTimeoutMs);
      // Opened at the moment when the time was up, however much later somebody asks.
      if (now >= givenUpAt) this.open(givenUpAt, now);
      else return;
    }
    // A clock that stepped back starts the wait anew instead of stretching it.
    if (now < this.openedAt) this.openedAt = now;
    if (now - this.openedAt >= this.openForMs) {
      this.round.begin();
      this.enter('half-open', now);
    }
  }

  private learnOfCall(success: boolean, isSlow: boolean, now: number): void {
    this.window.add(now, requests);
    if (!success) this.window.add(now, failures);
    if (isSlow) this.window.add(now, slow);
    this.inARow = success ? 0 : this.inARow + 1;
    if (this.tripped()) this.open(now, now);
  }

  private tripped(): boolean {
    const { consecutiveFailures, minRequests, failureRatio, slowRatio } = this.settings;
    if (this.inARow >= consecutiveFailures) return true;
    const total = this.window.latest(requests);
    if (total < minRequests) return false;
    const failed = this.window.latest(failures);
    const slowed = this.window.latest(slow);
    // Mostly there is neither, and two divisions take longer than all the rest.
    if (failed === 0 && slowed === 0) return false;
    // Quotients, not products: 7 / 100 is the number 0.07, and 0.07 * 100 is not the number 7.
    return failed / total >= failureRatio || slowed / total >= slowRatio;
  }

  private learnOfProbe(success: boolean, now: number): void {
    this.round.count(success);
    this.judgeRound(now);
  }

  private judgeRound(now: number): void {
    const { probes, probeSuccessRatio } = this.settings;
    const verdict = this.round.verdict(probes, probeSuccessRatio);
    if (verdict === 'passed') this.close(now);
    if (verdict === 'failed') this.open(now, now);
  }

  private open(at: number, now: number): void {
    const { openMs, openFactor, maxOpenMs, jitterRatio, random } = this.settings;
    // By the options of this moment: they may have changed since it opened last.
    const length = Math.min(openMs * openFactor ** this.openings, Math.max(openMs, maxOpenMs));
    const jitter = jitterRatio * random();
    this.openedAt = at;
    this.openForMs = length * (jitter > 0 ? 1 + jitter : 1);
    this.openings++;
    this.enter('open', now);
  }

  private close(now: number): void {
    this.window.reset();
    this.inARow = 0;
    this.openings = 0;
    this.enter('closed', now);
  }

  private enter(state: BreakerState, now: number): void {
    this.state = state;
    this.period++;
    this.announced.become(state, now);
  }
}

/**
 * A breaker of three states: closed, it counts; open, it refuses; half open, it lets a few calls through to find out.
 *
 * Use it where a callee that fails must be left alone altogether, or where people expect these three states. Where
 * part of the calls still succeed (overload, one bad shard, 30 % errors) use {@link sre}: an on/off breaker throws the
 * good part away, and closes and opens in turns.
 *
 * - It opens when any of three holds: the share of failures or of slow calls in the window is reached, with at least
 *   `minRequests` in it, or so many calls in a row failed. `failure` and `overload` are failures; `ignored` and
 *   `unsent` are nothing; refusals and calls in flight are not counted.
 * - Open, it refuses for `openMs`, longer each time that probes fail. `retryAfterMs` tells what is left.
 * - Half open, the first `probes` calls pass and all others are refused. A probe that ends `ignored` or `unsent`
 *   gives its place back; one that hangs is given up. It then closes with an empty window, or opens again.
 * - A result counts only in the period in which its call began: what was started before it opened neither closes it
 *   nor, arriving late, opens it again.
 *
 * In mode `observe` it changes state as it would and refuses nothing: only the calls that it would have let through
 * are evidence.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 * @example
 * ```ts
 * const breaker = threshold({ failureRatio: 0.5, slowMs: 800, openMs: 10_000 });
 * const rows = await attempt(breaker, () => db.query('select 1'));
 * ```
 *
 * Source: Nygard, "Release It!", chapter 5; the three states and the slow-call share as in resilience4j. It has no
 * timer: what time changes is worked out when it is next asked.
 */
export function threshold(options?: ThresholdOptions): Breaker<ThresholdOptions> {
  return new Threshold(thresholdSettings(thresholdDefaults, options));
}
