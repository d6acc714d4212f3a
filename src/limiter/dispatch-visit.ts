import type { Call } from '../core/call.js';
import { type Surroundings, surroundings } from '../core/current.js';
import type { Receiver, Start } from '../core/receiver.js';
import { noticeNext, noticeStart } from '../core/start-notice.js';
import { DispatchTicket } from './dispatch-ticket.js';

/** Whom a call tells how it goes on. */
interface Host {
  /** @returns when, if it looked */
  ended(visit: Visit): number | undefined;
  withdraw(visit: Visit): boolean;
}

const nothing = (): void => undefined;

/** One call on its way through a queue: its place there, and the receiver of its end. */
export class Visit extends DispatchTicket implements Receiver<unknown> {
  askedAt: number;
  /** Whether its handler has been called and has not returned. */
  opening = false;
  /** Whether it was answered by then. */
  brief = false;
  private where: Surroundings | undefined = undefined;
  private unhook = nothing;

  /**
   * @param outer - who is told how the call ended
   * @param start - runs the handler
   */
  constructor(
    private readonly host: Host,
    private readonly start: Start<unknown, unknown>,
    private readonly request: unknown,
    readonly call: Call,
    private readonly outer: Receiver<unknown>,
  ) {
    super(call);
    this.askedAt = outer.askedAt;
  }

  /** Its turn has not come; a caller that goes takes it out. */
  wait(): void {
    const { cancel } = this.call;
    this.where = surroundings();
    this.unhook = cancel.onAbort(() => {
      if (this.host.withdraw(this)) this.outer.failed(cancel.reason);
    });
  }

  /** Nothing will start before it, unless that comes now and is of more importance. */
  announce(): void {
    noticeNext(this.call);
  }

  /** Its turn has come. */
  go(now: number): void {
    this.unhook();
    this.askedAt = now;
    this.opening = true;
    if (this.where === undefined) this.open();
    else this.where.runInAsyncScope(() => this.open());
    this.opening = false;
  }

  /** It does not run. */
  refuse(reason: unknown): void {
    this.unhook();
    this.outer.failed(reason);
  }

  answered(response: unknown): void {
    const now = this.host.ended(this);
    this.outer.answered(response, now);
  }

  failed(error: unknown): void {
    this.host.ended(this);
    this.outer.failed(error);
  }

  private open(): void {
    noticeStart(this.call);
    this.start(this.request, this.call, this);
  }
}
