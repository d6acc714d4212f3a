import { type EarlyRefuser, isEarlyRefuser } from '../core/early-refusal.js';
import type { Ask, Gate, Permit } from '../core/gate.js';
import { resolveOptions } from '../core/options.js';
import type { Outcome } from '../core/outcome.js';
import { BacklogEstimate, type LoopLook } from './backlog-estimate.js';
import { type BacklogHost, nodeBacklogHost } from './backlog-host.js';
import { CallRates } from './call-rates.js';

/** Options of {@link backlogMeter}. */
export interface BacklogMeterOptions {
  /**
   * Work that waits where the event loop does not see it: the estimate of a dispatch queue, in milliseconds. The higher of
   * this and what waits for the loop counts, not their sum: what a poll found is in the queue when the turn is over. What
   * it throws, and what is no number, counts as 0.
   *
   * @defaultValue none
   */
  readonly queued?: (() => number) | undefined;
  /**
   * Window of what is told per second, and of the admission; milliseconds, above 0. A larger value is calmer and later.
   *
   * @defaultValue `2000`
   */
  readonly windowMs?: number | undefined;
  /**
   * Where the numbers come from.
   *
   * @defaultValue `nodeBacklogHost`
   */
  readonly host?: BacklogHost | undefined;
}

/** Defaults of {@link BacklogMeterOptions}. */
export const backlogMeterDefaults = { queued: undefined, windowMs: 2000, host: nodeBacklogHost } as const;

interface Settings {
  readonly queued: (() => number) | undefined;
  readonly windowMs: number;
  readonly host: BacklogHost;
}

/** What a {@link BacklogMeter} knows at one moment. */
export interface BacklogSnapshot {
  /** How long a call that came now would wait for this thread; milliseconds. */
  readonly backlogMs: number;
  /** What one call occupies the thread for, on average; milliseconds, `undefined` before the first is over. */
  readonly serviceMs: number | undefined;
  /** Calls in flight. */
  readonly inflight: number;
  /** Calls that ended lately, refused ones not among them; per second. */
  readonly perSecond: number;
  /** Those of them that failed; per second. */
  readonly errorsPerSecond: number;
  /** Share of the calls of default priority or less that were let in lately; `undefined` while none is refused. */
  readonly admitRatio: number | undefined;
}

/** Measures how much work waits for one thread. Made idle; whoever made it starts and stops it. */
export interface BacklogMeter {
  /** How long a call that came now would wait, in milliseconds; 0 while not started. Costs two readings of clocks. */
  readonly backlogMs: number;
  /** What one call occupies the thread for, on average; milliseconds, `undefined` before the first is over. */
  readonly serviceMs: number | undefined;
  /** Calls in flight. */
  readonly inflight: number;
  /** Tells it of the calls of a server: lets each in. Put it before the gates that may refuse. */
  readonly gate: Gate;
  /** A call begins, in this turn of the loop. {@link BacklogMeter.gate} does it. */
  enter(now: number, priority?: number): void;
  /** It is over; `unsent` if it was refused after all. The gate does it. */
  leave(now: number, outcome: Outcome): void;
  /** A call that had begun is refused for overload; its end is told too. For {@link BacklogSnapshot.admitRatio}. */
  refused(now: number, priority?: number): void;
  /** A gate that does as the given one, an early refuser as well if that is one, and tells of its refusals for overload. */
  watch(gate: Gate): Gate;
  /** Starts looking at the loop; if it already does, nothing changes. Never holds the process. @returns `stop` */
  start(): () => void;
  /** Stops looking. Calls are counted all the same. */
  stop(): void;
  /** All that it knows. */
  snapshot(now: number): BacklogSnapshot;
}

/** The place of one call among those in flight. */
class Visit implements Permit {
  private gone = false;
  constructor(private readonly meter: Meter) {}
  observe(): void {}
  release(outcome: Outcome, now: number): void {
    if (this.gone) return;
    this.gone = true;
    this.meter.leave(now, outcome);
  }
}

/** A gate whose refusals are counted, those before there is a call included. */
class WatchedGate implements Gate {
  readonly retryAfterMs?: NonNullable<Gate['retryAfterMs']>;
  readonly refuseEarly?: EarlyRefuser['refuseEarly'];
  constructor(
    private readonly gate: Gate,
    private readonly meter: Meter,
  ) {
    // As absent as it is there: who asks looks for it first.
    if (gate.retryAfterMs !== undefined) this.retryAfterMs = (now, ask) => gate.retryAfterMs?.(now, ask);
    if (isEarlyRefuser(gate))
      this.refuseEarly = (now, ask) => gate.refuseEarly(now, ask) && this.counted(now, ask);
  }
  get refusing(): boolean {
    return isEarlyRefuser(this.gate) && this.gate.refusing;
  }
  get code(): Gate['code'] {
    return this.gate.code;
  }
  tryAcquire(now: number, ask?: Ask): Permit | null {
    const permit = this.gate.tryAcquire(now, ask);
    if (permit === null) this.counted(now, ask);
    return permit;
  }
  dispose(): void {
    this.gate.dispose?.();
  }

  private counted(now: number, ask: Ask | undefined): true {
    // That one caller sends too much says nothing of the server.
    if (this.gate.code === 'OVERLOADED') this.meter.refused(now, ask?.priority);
    return true;
  }
}

class Meter implements BacklogMeter {
  inflight = 0;
  readonly gate: Gate = {
    code: 'OVERLOADED',
    tryAcquire: (now, ask) => {
      this.enter(now, ask?.priority);
      return new Visit(this);
    },
  };
  private readonly rates: CallRates;
  private estimate: BacklogEstimate | undefined;
  private looking = false;

  constructor(private readonly settings: Settings) {
    this.rates = new CallRates(settings.windowMs);
  }

  get backlogMs(): number {
    return Math.max(this.loopMs(), this.queuedMs());
  }
  get serviceMs(): number | undefined {
    const ms = this.estimate?.callMs;
    return ms !== undefined && ms >= 0 ? ms : undefined;
  }

  enter(now: number, priority = 0): void {
    this.inflight++;
    this.rates.came(now, priority);
    const { estimate } = this;
    if (estimate === undefined) return;
    if (!this.looking) this.look(estimate);
    estimate.enter(this.settings.host.now());
  }

  leave(now: number, outcome: Outcome): void {
    this.inflight = Math.max(0, this.inflight - 1);
    if (outcome === 'unsent') {
      this.estimate?.undo();
      return;
    }
    this.rates.ended(now, outcome);
    this.estimate?.leave();
  }

  refused(now: number, priority = 0): void {
    this.rates.turnedAway(now, priority);
  }

  watch(gate: Gate): Gate {
    return new WatchedGate(gate, this);
  }

  start(): () => void {
    this.estimate ??= new BacklogEstimate();
    const { estimate } = this;
    // Of this run only: one that was started since is somebody else's.
    return () => {
      if (this.estimate === estimate) this.stop();
    };
  }

  stop(): void {
    this.estimate = undefined;
    this.looking = false;
  }

  snapshot(now: number): BacklogSnapshot {
    const { rates } = this;
    return {
      backlogMs: this.backlogMs,
      serviceMs: this.serviceMs,
      inflight: this.inflight,
      perSecond: rates.perSecond(now),
      errorsPerSecond: rates.errorsPerSecond(now),
      admitRatio: rates.admitRatio(now),
    };
  }

  private look(estimate: BacklogEstimate): void {
    this.looking = true;
    estimate.begin(this.read());
    this.await(estimate);
  }

  private await(estimate: BacklogEstimate): void {
    this.settings.host.onTurnEnd(() => {
      if (this.estimate !== estimate) return;
      // A process that nobody calls is left alone; the next call begins anew.
      this.looking = estimate.turn(this.read(), this.inflight);
      if (this.looking) this.await(estimate);
    });
  }

  private read(): LoopLook {
    const { host } = this.settings;
    const events = told(() => host.events());
    return {
      now: host.now(),
      idleMs: told(() => host.idleMs()) ?? Number.NaN,
      events: events?.events ?? Number.NaN,
      waiting: events?.eventsWaiting ?? Number.NaN,
    };
  }

  private loopMs(): number {
    const { estimate } = this;
    if (estimate === undefined || !this.looking) return 0;
    const { host } = this.settings;
    return estimate.waitMs(host.now(), told(() => host.idleMs()) ?? Number.NaN);
  }

  private queuedMs(): number {
    const { queued } = this.settings;
    const ms = queued === undefined ? 0 : (told(queued) ?? 0);
    return ms > 0 ? ms : 0;
  }
}

/** What somebody else's function says; nothing of this may break a call. */
function told<T>(tell: () => T): T | undefined {
  try {
    return tell();
  } catch {
    return undefined;
  }
}

/**
 * Measures how much work waits for this thread, in milliseconds: the one number by which a balancer can choose a Node
 * server, a limiter can refuse and a person can see that it is late.
 *
 * Calls in flight are no measure of it, for most of them wait for somebody else; nor are those before a synchronous
 * handler, of which there is never more than one; they wait in the sockets. CPU and the use of the loop read 1 at any
 * overload. What is measured instead: of each turn of the loop how long it took, how many events it had, and how many of
 * those had been ready when it came to ask; so what one event costs, and how much comes in while others are worked off. A
 * long pause is not taken for a queue, but for the work that came in meanwhile.
 *
 * It looks while calls are in flight and, apart from that, lets the process be. On Node 20.18, 22.8 and later the loop
 * counts its events; elsewhere the calls that begin in a turn stand in for them, and what keeps the process busy besides
 * is not seen.
 *
 * Make one per thread, tell it of all calls that the thread serves, and start it where the server starts. An app does
 * all that.
 *
 * @throws TypeError or RangeError for options that are out of range
 * @example
 * ```ts
 * const meter = backlogMeter();
 * server.once('close', meter.start());
 * const governed = guard([meter.gate, limiter], { protocol, clock })(handler);
 * setInterval(() => console.log(meter.backlogMs), 1000).unref();
 * ```
 *
 * Source: `uv_metrics_info` of libuv tells the events of a turn. The rest is our own.
 */
export function backlogMeter(options?: BacklogMeterOptions): BacklogMeter {
  const settings = resolveOptions<Settings>('backlogMeter', backlogMeterDefaults, options, {
    windowMs: { above: 0 },
  });
  const { queued } = settings;
  if (queued !== undefined && typeof queued !== 'function')
    throw new TypeError(`backlogMeter.queued must be a function, got ${String(queued)}`);
  return new Meter(settings);
}
