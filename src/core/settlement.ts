import type { Call } from './call.js';
import type { Clock } from './clock.js';
import type { Permit } from './gate.js';
import type { Protocol } from './protocol.js';
import type { Receiver } from './receiver.js';
import { ignored, verdictOf } from './verdict.js';

/** What it takes to tell how a call ended, and when. */
export interface Settling<Req, Res> {
  /** Tells how a call ended. */
  readonly protocol: Protocol<Req, Res>;
  /** Tells the time. */
  readonly clock: Clock;
}

/**
 * Follows a call to its end and releases its permit exactly then: at the response's end if the protocol can tell,
 * otherwise at the response, or at the rejection. The one place where outcomes are made.
 */
export class Settlement<Req, Res> implements Receiver<Res> {
  readonly askedAt: number;

  /**
   * @param permit - what the call holds
   * @param outer - who is told afterwards
   */
  constructor(
    private readonly permit: Permit,
    private readonly call: Call,
    private readonly outer: Receiver<Res>,
    private readonly settling: Settling<Req, Res>,
  ) {
    this.askedAt = outer.askedAt;
  }

  answered(response: Res): void {
    let now: number;
    try {
      now = this.settling.clock.now();
      this.conclude(response, now);
    } catch (fault) {
      this.outer.failed(fault);
      return;
    }
    this.outer.answered(response, now);
  }

  failed(error: unknown): void {
    const { call, permit, settling } = this;
    let verdict = ignored;
    try {
      const now = settling.clock.now();
      try {
        verdict = verdictOf(error, call, settling.protocol);
      } finally {
        permit.release(verdict.outcome, now, verdict.feedback);
      }
    } catch (fault) {
      this.outer.failed(fault);
      return;
    }
    this.outer.failed(error);
  }

  private conclude(response: Res, now: number): void {
    const { permit } = this;
    const { protocol, clock } = this.settling;
    try {
      const outcome = protocol.classify(response, undefined);
      const feedback = protocol.feedback?.(response);
      if (protocol.onEnd === undefined) {
        permit.release(outcome, now, feedback);
        return;
      }
      permit.observe(outcome, now, feedback);
      // The response keeps the permit alone: what leads back to the response would keep it for ever if nobody reads it.
      if (!protocol.onEnd(response, (end) => permit.release(end, clock.now()))) permit.release(outcome, now);
    } catch (fault) {
      // A protocol that throws is a bug, and must not cost a place in flight for ever.
      permit.release('ignored', now);
      throw fault;
    }
  }
}
