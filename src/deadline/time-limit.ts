import { type Call, derive } from '../core/call.js';
import { type CancelSource, cancelSource, uncancelled } from '../core/cancel.js';
import type { Clock } from '../core/clock.js';
import type { Handler } from '../core/handler.js';
import { discard, type Protocol, whenOver } from '../core/protocol.js';
import { type Receiver, type Start, startOf } from '../core/receiver.js';
import { type Wheel, WheelEntry, wheelOf } from '../core/timer-wheel.js';
import { expired, tooLate } from './expired.js';

/** One call under a limit: ends at the response, at the limit or when the caller gives up, whichever is first. */
class Countdown<Req, Res> extends WheelEntry implements Receiver<Res> {
  private readonly source: CancelSource;
  private unhook: (() => void) | undefined = undefined;

  constructor(
    private readonly limit: TimeLimit<Req, Res>,
    private readonly call: Call,
    readonly askedAt: number,
    at: number,
    private outer: Receiver<Res> | undefined,
  ) {
    super(at);
    this.source = cancelSource();
  }

  start(request: Req): void {
    const { limit, call, source } = this;
    if (call.cancel !== uncancelled) this.unhook = call.cancel.onAbort(() => this.givenUp());
    limit.wheel.add(this, this.askedAt);
    limit.start(request, derive(call, { deadline: this.at, cancel: source }), this);
  }

  fire(): void {
    this.abandon(expired(this.call, `no answer within ${Math.round(this.at - this.askedAt)} ms`));
  }

  /** By its caller. Once there is a response only its body ends. */
  private givenUp(): void {
    const { reason } = this.call.cancel;
    if (this.outer === undefined) this.source.abort(reason);
    else this.abandon(reason);
  }

  /** The wire may not heed an abort, and nobody need wait for it. */
  private abandon(reason: unknown): void {
    const outer = this.leave();
    this.letGo();
    this.source.abort(reason);
    outer?.failed(this.source.reason);
  }

  /** The call is over. @returns who has not been told */
  private leave(): Receiver<Res> | undefined {
    const { outer } = this;
    this.outer = undefined;
    this.cancel();
    return outer;
  }

  answered(response: Res, now?: number): void {
    const { protocol } = this.limit;
    const outer = this.leave();
    if (outer === undefined) {
      if (protocol !== undefined) discard(protocol, response);
      return;
    }
    try {
      this.unlink(response);
    } catch (fault) {
      this.letGo();
      outer.failed(fault);
      return;
    }
    outer.answered(response, now);
  }

  /**
   * The wire holds our signal until the body ends, and so long the caller's abort has to reach it. What waits for that end
   * must not lead back to the response, as the receiver does, which was let go of: a body that nobody reads would never be
   * collected.
   */
  private unlink(response: Res): void {
    const { protocol } = this.limit;
    const { unhook } = this;
    if (unhook === undefined) return;
    if (protocol === undefined) unhook();
    else whenOver(protocol, response, unhook);
    this.unhook = undefined;
  }

  /** Of the caller's abort. A wire that heeds none keeps this call for as long as it likes, and must not keep others by it. */
  private letGo(): void {
    const { unhook } = this;
    this.unhook = undefined;
    unhook?.();
  }

  failed(error: unknown): void {
    const outer = this.leave();
    if (outer === undefined) return;
    this.letGo();
    outer.failed(error);
  }
}

/** Ends the calls to one handler that have no response in time. */
export class TimeLimit<Req, Res> {
  readonly wheel: Wheel;
  readonly start: Start<Req, Res>;

  constructor(
    next: Handler<Req, Res>,
    clock: Clock,
    readonly protocol: Protocol<Req, Res> | undefined,
  ) {
    this.start = startOf(next);
    this.wheel = wheelOf(clock);
  }

  /** Runs a call, asked for by `outer`, that must have its response within `ownMs` and by its own deadline. */
  run(request: Req, call: Call, ownMs: number, outer: Receiver<Res>): void {
    const now = outer.askedAt;
    const ownAt = now + ownMs;
    const at = call.deadline < ownAt ? call.deadline : ownAt;
    if (at === Number.POSITIVE_INFINITY) this.start(request, call, outer);
    else if (call.cancel.aborted) outer.failed(call.cancel.reason);
    else if (at <= now) outer.failed(tooLate(call));
    else new Countdown(this, call, now, at, outer).start(request);
  }
}
