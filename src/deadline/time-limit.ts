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
  private over = false;
  private readonly source: CancelSource;
  private unhook: (() => void) | undefined = undefined;

  constructor(
    private readonly limit: TimeLimit<Req, Res>,
    private readonly call: Call,
    readonly askedAt: number,
    at: number,
    private readonly resolve: (response: Res) => void,
    private readonly reject: (error: unknown) => void,
  ) {
    super(at);
    this.source = cancelSource(call.cancel);
  }

  start(request: Req): void {
    const { limit, call, source } = this;
    // The wire may not heed an abort, and the caller need not wait for it.
    if (call.cancel !== uncancelled) this.unhook = source.onAbort(() => this.abandon(source.reason));
    limit.wheel.add(this, this.askedAt);
    limit.start(request, derive(call, { deadline: this.at, cancel: source }), this);
  }

  fire(): void {
    this.abandon(expired(this.call, `no answer within ${Math.round(this.at - this.askedAt)} ms`));
  }

  private abandon(reason: unknown): void {
    if (this.over) return;
    this.over = true;
    this.cancel();
    this.source.abort(reason);
    this.reject(reason);
  }

  answered(response: Res): void {
    const { protocol } = this.limit;
    if (this.over) {
      if (protocol !== undefined) discard(protocol, response);
      return;
    }
    this.over = true;
    this.cancel();
    try {
      this.unlink(response);
      this.resolve(response);
    } catch (fault) {
      this.source.dispose();
      this.reject(fault);
    }
  }

  /**
   * The wire holds our signal until the body ends, and so long the caller's abort has to reach it. What waits for that end
   * must not lead back to the response, as `this` does by its promise: a body that nobody reads would never be collected.
   */
  private unlink(response: Res): void {
    const { protocol } = this.limit;
    const { source } = this;
    if (this.call.cancel === uncancelled) return;
    this.unhook?.();
    if (protocol === undefined) source.dispose();
    else whenOver(protocol, response, () => source.dispose());
  }

  failed(error: unknown): void {
    if (this.over) return;
    this.over = true;
    this.cancel();
    this.source.dispose();
    this.reject(error);
  }
}

/** Ends the calls to one handler that have no response in time. */
export class TimeLimit<Req, Res> {
  readonly wheel: Wheel;
  readonly start: Start<Req, Res>;

  constructor(
    private readonly next: Handler<Req, Res>,
    clock: Clock,
    readonly protocol: Protocol<Req, Res> | undefined,
  ) {
    this.start = startOf(next);
    this.wheel = wheelOf(clock);
  }

  /** Runs a call from `now` that must have its response by `ownAt` and by its own deadline. */
  run(request: Req, call: Call, now: number, ownAt: number): Promise<Res> {
    const at = call.deadline < ownAt ? call.deadline : ownAt;
    if (at === Number.POSITIVE_INFINITY) return this.next(request, call);
    if (call.cancel.aborted) return Promise.reject(call.cancel.reason);
    if (at <= now) return Promise.reject(tooLate(call));
    return new Promise((resolve, reject) =>
      new Countdown(this, call, now, at, resolve, reject).start(request),
    );
  }
}
