import type { Call } from '../core/call.js';
import type { Clock } from '../core/clock.js';
import { type GovernanceError, type GovernanceErrorDetails, refusal } from '../core/errors.js';
import { type Wheel, wheelOf } from '../core/timer-wheel.js';
import type { Lane, LaneUser } from './bottleneck-lane.js';
import { HeldPlace, openPlace, type Place, type PlaceCounter } from './bottleneck-place.js';
import { givenUp, type Standing, Waiter } from './bottleneck-waiter.js';
import { costOf } from './cost.js';

/** What becomes of calls now. */
export type Way = 'usual' | 'local' | 'open' | 'closed';

/** What all queues of one quota have in common. */
export interface QueueRules {
  readonly clock: Clock;
  readonly maxWaiting: number;
  readonly maxWaitMs: number;
  /** See `paceMs`. */
  readonly paceMs: number;
  readonly awayAfterMs: number;
  /** A call of a greater cost never passes; `Infinity` if that is not known. */
  readonly maxCost: number;
  way(): Way;
  /** Somebody waits for the shared store. */
  awaited(queue: Queue): void;
  /** The shared store said that it cannot. */
  broken(error: unknown): void;
  /** Why it is away. */
  cause(): unknown;
  /** A call is over. */
  left(): void;
}

/** Where the places of a queue come from. */
export interface Lanes {
  /** The quota itself. */
  readonly main: Lane;
  /** This process's share of it, while the shared store is away. */
  readonly share: Lane | undefined;
}

/** A call leaves the queue two ticks of the wheel before its deadline: "no place" tells more than "deadline exceeded". */
const headStartMs = 8;

/** Places that are asked for ahead. One round trip should not hold up the next call; more would be wasted when callers give up. */
const ahead = 4;

/** A share or a reservoir has whole places only. */
function weightOf(call: Call): number {
  return Math.ceil(costOf(call));
}

/** The one refusal of a shared limiter that is about the call and not about the store. */
function isTooHeavy(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('Impossible to add a job');
}

/** The calls that wait for one quota: the more important first, otherwise as they came. */
export class Queue implements LaneUser, PlaceCounter, Standing {
  /** Calls that have a place. */
  running = 0;
  private readonly waiters: Waiter[] = [];
  private readonly lanes: Lanes;
  private readonly wheel: Wheel;
  private ended = false;

  constructor(
    private readonly rules: QueueRules,
    lanesFor: (user: LaneUser) => Lanes,
  ) {
    this.lanes = lanesFor(this);
    this.wheel = wheelOf(rules.clock);
  }

  get waiting(): number {
    return this.waiters.length;
  }
  get idle(): boolean {
    return this.waiters.length === 0 && this.running === 0;
  }

  /** Resolves with a place; rejects when there is none in time, or when the caller gives up. */
  enter(call: Call, now: number): Promise<Place> {
    const { rules } = this;
    if (call.cancel.aborted) return Promise.reject(givenUp(call));
    if (this.ended) return Promise.reject(stopped(call));
    const way = rules.way();
    if (way === 'open') return Promise.resolve(openPlace);
    if (way === 'closed') return Promise.reject(this.away(call));
    const cost = weightOf(call);
    const at = Math.min(call.deadline - headStartMs, now + rules.maxWaitMs);
    const why = this.hopeless(cost, at <= now);
    if (why !== undefined) return Promise.reject(this.refusal(call, why));
    return new Promise((resolve, reject) => {
      const waiter = new Waiter(at, call, cost, this, { resolve, reject });
      this.insert(waiter);
      waiter.wait(this.wheel);
      this.pump();
    });
  }

  granted(lane: Lane, weight: number): PromiseLike<void> | undefined {
    const first = this.waiters.find((waiter) => waiter.cost === weight);
    const place = first && new HeldPlace(this, lane, weight);
    if (place !== undefined) {
      this.running++;
      this.remove(first);
      first?.admit(place);
    }
    this.pump();
    return place?.over;
  }

  failed(lane: Lane, weight: number, error: unknown): void {
    if (lane.shared && !isTooHeavy(error)) {
      this.rules.broken(error);
      return;
    }
    const first = this.waiters.find((waiter) => waiter.cost === weight);
    if (first !== undefined) this.leave(first, this.refusal(first.call, 'bottleneck refuses it', error));
    this.pump();
  }

  /** The shared store went away, or came back. */
  rearrange(): void {
    const way = this.rules.way();
    const gone = way === 'open' || way === 'closed' ? this.waiters.splice(0) : [];
    for (const waiter of gone) {
      if (way === 'open') waiter.admit(openPlace);
      else waiter.refuse(this.away(waiter.call));
    }
    this.pump();
  }

  /** Something that its store has to answer. */
  probe(): Promise<unknown> {
    return this.lanes.main.probe();
  }

  leave(waiter: Waiter, error: unknown): void {
    this.remove(waiter);
    waiter.refuse(error);
  }

  placeLeft(): void {
    this.running--;
    this.rules.left();
  }

  /** Sends everybody away. Calls that have a place go on. */
  end(): void {
    this.ended = true;
    for (const waiter of this.waiters.splice(0)) waiter.refuse(stopped(waiter.call));
  }

  /** Lets go of the limiters. */
  close(): void {
    this.end();
    this.lanes.main.close();
    this.lanes.share?.close();
  }

  refusal(call: Call, why: string, cause?: unknown): GovernanceError {
    const { paceMs } = this.rules;
    const retryAfterMs = paceMs > 0 ? Math.ceil(paceMs * (this.waiters.length + 1)) : undefined;
    return refusedFor(call, why, { retryAfterMs, cause });
  }

  private away(call: Call): GovernanceError {
    const { awayAfterMs: retryAfterMs } = this.rules;
    return refusedFor(call, 'the store of its quota does not answer', {
      retryAfterMs,
      cause: this.rules.cause(),
    });
  }

  private hopeless(cost: number, noTime: boolean): string | undefined {
    if (cost > this.rules.maxCost) return `it costs ${cost}, more than its quota ever has`;
    if (noTime) return 'it has no time to wait for its quota';
    const { length } = this.waiters;
    return length >= this.rules.maxWaiting ? `${length} calls wait for its quota` : undefined;
  }

  private insert(waiter: Waiter): void {
    const { waiters } = this;
    let at = waiters.length;
    // From the end: mostly all are equally important.
    while (at > 0 && (waiters[at - 1] as Waiter).call.priority < waiter.call.priority) at--;
    waiters.splice(at, 0, waiter);
  }

  private remove(waiter: Waiter | undefined): void {
    const at = this.waiters.indexOf(waiter as Waiter);
    if (at >= 0) this.waiters.splice(at, 1);
  }

  /** Asks for places until there is one on its way for everybody, or enough for now. */
  private pump(): void {
    const way = this.rules.way();
    const { main, share } = this.lanes;
    const lane = way === 'usual' ? main : way === 'local' ? share : undefined;
    if (lane === undefined || this.waiters.length === 0) return;
    if (lane.shared) this.rules.awaited(this);
    const covered = new Map(lane.asked);
    for (const { cost } of this.waiters) {
      if (lane.pending >= ahead) return;
      const left = covered.get(cost) ?? 0;
      if (left > 0) covered.set(cost, left - 1);
      else lane.ask(cost);
    }
  }
}

function refusedFor(call: Call, why: string, more: GovernanceErrorDetails): GovernanceError {
  const { service, operation, side } = call;
  return refusal('RATE_LIMITED', `${service} ${operation}: ${why}`, { ...more, service, side });
}

function stopped(call: Call): GovernanceError {
  const { service, operation, side } = call;
  return refusal('SHUTTING_DOWN', `${service} ${operation}: its quota was stopped`, { service, side });
}
