import type { Clock, Timer } from '../core/clock.js';
import { type EarlyRefuser, isEarlyRefuser } from '../core/early-refusal.js';
import type { RejectionCode } from '../core/errors.js';
import type { Bus } from '../core/events.js';
import type { Ask, Gate } from '../core/gate.js';
import type { RefusedRequest, RejectEarly } from '../http/reject-early.js';

/** Several as one: the first that refuses counts. */
class FirstOf implements EarlyRefuser {
  private refuser: EarlyRefuser;
  constructor(private readonly refusers: readonly [EarlyRefuser, ...EarlyRefuser[]]) {
    this.refuser = refusers[0];
  }
  get code(): RejectionCode {
    return this.refuser.code;
  }
  get refusing(): boolean {
    for (const refuser of this.refusers) if (refuser.refusing) return true;
    return false;
  }
  refuseEarly(now: number, ask: Ask): boolean {
    for (const refuser of this.refusers) {
      if (!refuser.refusing || !refuser.refuseEarly(now, ask)) continue;
      this.refuser = refuser;
      return true;
    }
    return false;
  }
  retryAfterMs(now: number, ask?: Ask): number | undefined {
    return this.refuser.retryAfterMs?.(now, ask);
  }
}

/** How often refusals are told of, in milliseconds. */
const tellMs = 100;

/** Counts refusals, and tells of them together: an event for each would cost more than the refusal. */
class Tally {
  private readonly counts = new Map<RejectionCode, number>();
  private timer: Timer | undefined;

  constructor(
    private readonly tell: (code: RejectionCode, count: number) => void,
    private readonly clock: Clock,
  ) {}

  readonly add = (code: RejectionCode): void => {
    this.counts.set(code, (this.counts.get(code) ?? 0) + 1);
    this.timer ??= this.clock.after(tellMs, this.flush);
  };

  readonly flush = (): void => {
    this.timer?.cancel();
    this.timer = undefined;
    const counts = [...this.counts];
    this.counts.clear();
    for (const [code, count] of counts) this.tell(code, count);
  };
}

/** What {@link earlyLimits} needs. */
export interface EarlyLimitsParts {
  readonly service: string;
  readonly bus: Bus;
  readonly clock: Clock;
  /** Told of each request that is refused. */
  readonly onReject: (code: RejectionCode, refused: RefusedRequest) => void;
  /** Runs something when no more requests come. */
  readonly atEnd: (run: () => void) => void;
}

/**
 * Lets a listener ask the limits of its server before it makes calls, those of them that can tell.
 *
 * @returns `undefined` if none can
 */
export function earlyLimits(
  limits: readonly (Gate | EarlyRefuser)[],
  { service, bus, clock, onReject, atEnd }: EarlyLimitsParts,
): RejectEarly | undefined {
  const [first, ...others] = limits.filter(isEarlyRefuser);
  if (first === undefined) return undefined;
  const tally = new Tally((code, count) => bus.emit('rejected', { service, code, count }), clock);
  atEnd(tally.flush);
  return {
    refuser: others.length === 0 ? first : new FirstOf([first, ...others]),
    clock,
    onReject: (code, refused) => {
      tally.add(code);
      onReject(code, refused);
    },
  };
}
