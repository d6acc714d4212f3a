import type { Random } from '../core/random.js';

/** A failure on the way back slows it by this; successes outweigh it as long as fewer than two of three calls fail. */
const slowing = 1.25;
/** Calls that come in a bunch on the way back may pass together, if so many would have passed in the time before. */
const bunch = 2;
/** What the latest gap between two calls weighs in what is known of the rate. */
const lately = 1 / 4;
/** Calls over which the share that passes is known; small, for it grows. */
const fewCalls = 32;

/**
 * Of a callee that sheds whatever it gets one of so many calls finds out: what those that are shed cost elsewhere stays within
 * the tenth that a retry budget allows.
 */
const asked = 10;

/** A callee that asks to be left alone for longer, by mistake or in bad faith, is probed after that all the same. */
const mostAwayMs = 60_000;

/** How a {@link Pace} is set. */
export interface PaceSettings {
  readonly probeIntervalMs: number;
  readonly jitterRatio: number;
  readonly probeTimeoutMs: number;
  /** Longest wait for calls of which one finds out. */
  readonly windowMs: number;
  readonly growthFactor: number;
  readonly random: Random;
}

/**
 * When the next call may pass to a callee that was down: single probes at intervals, then, from the first success on, at a
 * pace that each success quickens. From one call every half a second, doubled each time, any rate is reached within half a
 * second and some round trips: the intervals are a geometric series.
 *
 * With several calls in flight one success says nothing of what the others will meet, so it takes as many successes as
 * there are calls in flight to double: once a round trip at most, as the slow start of TCP.
 *
 * Source: for the spacing the generic cell rate algorithm (ITU-T I.371, annex A); RFC 5681, 3.1, for the growth.
 */
export class Pace {
  /** Successes since a call was last refused. */
  inARow = 0;
  private spacingMs = 0;
  private nextAt = 0;
  private sentAt = 0;
  /** Calls under way that passed here. */
  private out = 0;
  /** Time between calls that passed, lately. */
  private gapMs = 0;
  private passed = 0;
  private refused = 0;
  private askedAt = Number.NaN;
  /** Whether only a part of what is asked may find out, however little that is. */
  private sparing = false;
  /** Calls that might have found out, since one did. */
  private turnedAway = 0;

  constructor(public settings: PaceSettings) {}

  /** The share of the calls that passes, lately. */
  get share(): number {
    return (this.passed + 1) / (this.passed + this.refused + 1);
  }

  /**
   * The rate at which calls passed a round trip ago: that is what the answers which come now are to. It may be less than
   * the pace allows, where fewer want to pass.
   */
  get perMs(): number {
    return 1 / Math.max(this.gapMs, this.spacingMs * this.settings.growthFactor);
  }

  /**
   * The callee is down: the next probe is due after one interval.
   *
   * @param sparing - whether probes are no more than a part of what is asked, too
   */
  begin(now: number, sparing = false): void {
    this.sparing = sparing;
    this.turnedAway = 0;
    this.spacingMs = this.settings.probeIntervalMs;
    this.gapMs = this.spacingMs;
    this.out = 0;
    this.passed = 0;
    this.refused = 0;
    this.inARow = 0;
    this.sent(now);
  }

  /** Whether a call may find out: one at a time, and an interval after the one before. */
  probe(now: number): boolean {
    this.look(now);
    if (this.tooSoon(now)) {
      this.turnedAway++;
      return false;
    }
    if (this.out > 0 && now - this.sentAt < this.settings.probeTimeoutMs) return false;
    this.out = 1;
    this.turnedAway = 0;
    this.sent(now);
    return true;
  }

  /** Whether a call may pass on the way back. */
  admit(now: number): boolean {
    this.look(now);
    const { spacingMs } = this;
    // Not `>=`: once told a time that is none it would refuse for ever.
    const admitted = !(now < this.nextAt);
    if (admitted) {
      this.nextAt = Math.max(this.nextAt, now - bunch * spacingMs) + spacingMs;
      const sinceMs = now - this.sentAt;
      if (sinceMs >= 0) this.gapMs += (sinceMs - this.gapMs) * lately;
      this.sentAt = now;
      this.out++;
    } else {
      this.inARow = 0;
      this.refused++;
      this.forgetOld();
    }
    return admitted;
  }

  /** A call that passed succeeded. */
  quicken(): void {
    this.inARow++;
    this.spacingMs /= this.settings.growthFactor ** (1 / Math.max(1, this.out));
    this.nextAt = Math.min(this.nextAt, this.sentAt + this.spacingMs);
    this.back();
  }

  /** A call that passed failed. */
  slow(): void {
    this.spacingMs = Math.min(this.settings.probeIntervalMs, this.spacingMs * slowing);
    this.back();
  }

  /** A call that passed is over; of itself that says nothing. */
  back(): void {
    this.leave();
    this.passed++;
    this.forgetOld();
  }

  /** A call that passed was not sent: the next may take its place. */
  unsent(): void {
    this.leave();
    this.turnedAway = asked;
    this.nextAt = Math.min(this.nextAt, this.sentAt);
  }

  /** The callee asked to be left alone for so long. */
  keepAway(now: number, ms: number): void {
    this.look(now);
    this.nextAt = Math.max(this.nextAt, now + Math.min(ms, mostAwayMs));
  }

  /** How long until the next probe is due; milliseconds. */
  waitMs(now: number): number {
    this.look(now);
    return Math.max(0, this.nextAt - now);
  }

  private tooSoon(now: number): boolean {
    if (now < this.nextAt) return true;
    return this.sparing && this.turnedAway + 1 < asked && now - this.sentAt < this.settings.windowMs;
  }

  private leave(): void {
    if (this.out > 0) this.out--;
  }

  private forgetOld(): void {
    if (this.passed + this.refused <= fewCalls) return;
    this.passed /= 2;
    this.refused /= 2;
  }

  private sent(now: number): void {
    const { probeIntervalMs, jitterRatio, random } = this.settings;
    this.look(now);
    this.sentAt = now;
    this.nextAt = now + probeIntervalMs * (1 + jitterRatio * random());
  }

  /** A clock that steps back takes along what it is held against; else the wait would be longer by the step. */
  private look(now: number): void {
    const backMs = this.askedAt - now;
    if (backMs > 0) {
      this.nextAt -= backMs;
      this.sentAt -= backMs;
    }
    this.askedAt = now;
  }
}
