import {
  Code,
  ConnectError,
  type StreamResponse,
  type Transport,
  type UnaryResponse,
} from '@connectrpc/connect';
import type { Call } from '../core/call.js';
import type { Outcome } from '../core/outcome.js';
import { attemptTimeoutMs } from './attempt-limits.js';
import type { ConnectAnswer } from './connect-answer.js';
import type { OutgoingRequest } from './connect-request.js';
import { headersOf } from './headers-carrier.js';
import { errorForCaller } from './refusal-error.js';
import { wasRefused, wasUnseen } from './wire-fault.js';

/** Whom the first sign of an answer is told, or that the caller gave up. */
export interface Settling {
  readonly resolve: (answer: ConnectAnswer) => void;
  readonly reject: (reason: unknown) => void;
}

/** What goes with each call of a transport. */
export interface Sending {
  readonly signal: AbortSignal;
  readonly timeoutMs: number | undefined;
  readonly header: Headers;
}

/** One try of a call on the transport of one endpoint, and the answer that it brings. */
export abstract class Attempt<Request extends OutgoingRequest> implements ConnectAnswer {
  abstract readonly response: UnaryResponse | StreamResponse | undefined;
  error: ConnectError | undefined = undefined;
  unseen = false;
  /** Whether there will be nothing more. */
  protected over = false;
  // Of our own, for transports tell the callee by the code of the reason why its stream ends.
  private readonly controller = new AbortController();
  private readonly ends: ((outcome: Outcome) => void)[] = [];
  private unhook: (() => void) | undefined = undefined;

  constructor(
    protected readonly transport: Transport,
    protected readonly request: Request,
    protected readonly call: Call,
    private readonly settling: Settling,
  ) {}

  start(): void {
    const { call, request } = this;
    const header = headersOf(call.headers);
    const sending = { signal: this.controller.signal, timeoutMs: attemptTimeoutMs(request, call), header };
    this.unhook = call.cancel.onAbort(() => this.abandon(call.cancel.reason));
    this.send(sending)
      .catch((error: unknown) => {
        // A callee that is about to leave says so by GOAWAY: what it did not look at goes over a new connection, once.
        if (this.over || !wasRefused(error) || !this.resendable) throw error;
        return this.send(sending);
      })
      .catch((error: unknown) => this.fail(error));
  }

  /** @returns `false` when it has ended: then nobody is told */
  onEnd(told: (outcome: Outcome) => void): boolean {
    if (!this.over) this.ends.push(told);
    return !this.over;
  }

  /** Ends it from this side. */
  abandon(reason: unknown): void {
    if (this.over) return;
    this.error = errorForCaller(reason, this.call.cancel);
    this.controller.abort(
      new ConnectError(this.error.rawMessage, Code.Canceled, undefined, undefined, reason),
    );
    this.settling.reject(reason);
    this.finish('ignored');
  }

  /** Whether this attempt itself can send the same again. */
  protected abstract readonly resendable: boolean;
  protected abstract send(sending: Sending): Promise<void>;

  /** There is enough of it to judge. */
  protected answered(): void {
    this.settling.resolve(this);
  }

  /** It ended before there was. */
  protected fail(error: unknown): void {
    if (this.over) return;
    if (error instanceof ConnectError) {
      this.error = error;
      this.unseen = this.response === undefined && wasUnseen(error);
      this.finish('ignored');
      this.settling.resolve(this);
    } else {
      this.finish('ignored');
      this.settling.reject(error);
    }
  }

  protected finish(outcome: Outcome): void {
    if (this.over) return;
    this.over = true;
    this.unhook?.();
    for (const tell of this.ends.splice(0)) {
      try {
        tell(outcome);
      } catch {
        // A gate of the user's: the others have to be told, and nobody waits for this one.
      }
    }
  }
}
