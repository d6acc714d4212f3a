import type { Call } from '../core/call.js';
import type { CancelSource } from '../core/cancel.js';
import type { TiedControl, TiedCopy, TiedState } from '../core/tied-copy.js';
import type { Alarm } from './alarm.js';
import type { Copy } from './contest.js';

/** Whom a copy tells what its wire hears. */
export interface TiedHost {
  /** The same for both copies of a call. */
  readonly id: string;
  now(): number;
  /** Whether a copy may be sent to the endpoint that was picked for it. */
  maySend(copy: TiedOne): boolean;
  /** Its wire has it, and hears of its start. */
  carried(copy: TiedOne): void;
  /** The server told that its handler starts, or that it waits to be let. */
  started(copy: TiedOne): void;
}

/** One copy of a tied call, between the race and the wire. */
export class TiedOne implements TiedCopy, Copy {
  /** How to ask its server about it; `undefined` where the wire cannot, or has not sent it. */
  control: TiedControl | undefined = undefined;
  /** Whether its wire hears of starts, and has it. */
  sent = false;
  /** From when it was sent to when its start was heard of, in milliseconds; `undefined` before that. */
  noticeMs: number | undefined = undefined;
  /** Whether it has been let start, as far as this side knows. */
  granted = false;
  /** What its server said instead of running it. */
  away: TiedState | undefined = undefined;
  /** Its end does not matter any more. */
  out = false;
  /** Ends it if it does not end by itself once it is out. */
  patience: Alarm | undefined = undefined;
  private sentAt = 0;
  private tell: (() => void) | undefined = undefined;

  constructor(
    private readonly host: TiedHost,
    readonly copy: number,
    readonly mode: 'free' | 'claim',
    readonly call: Call,
    readonly source: CancelSource,
  ) {}

  get id(): string {
    return this.host.id;
  }
  get endpoint(): string {
    return this.call.attempt.endpoint?.id ?? '';
  }

  carried(control: TiedControl | undefined): boolean {
    this.control = control;
    if (!this.host.maySend(this)) return false;
    this.sent = true;
    this.sentAt = this.host.now();
    this.host.carried(this);
    // What follows from it runs as part of this call and not of whichever the connection served before.
    new Promise<void>((resolve) => {
      this.tell = resolve;
    })
      .then(() => this.host.started(this))
      .catch(() => {
        // Ids or headers that cannot be made: this copy goes on as if nothing had been told.
      });
    return true;
  }

  heard(): void {
    if (this.noticeMs !== undefined) return;
    this.noticeMs = this.host.now() - this.sentAt;
    this.tell?.();
  }

  turnedAway(state: TiedState): void {
    this.away = state;
  }

  /** There is nothing more to hear of it. */
  leave(): void {
    this.patience?.cancel();
    this.source.dispose();
  }
}
