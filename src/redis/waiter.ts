import type { Cancellation } from '../core/cancel.js';

/** How a wait may end. */
export interface WaitEnds {
  /** Whether the caller gave up. */
  readonly cancel: Cancellation;
  /** The call may go on. */
  readonly pass: () => void;
  /** Why it may not. */
  readonly reject: (reason: unknown) => void;
  /** Makes the refusal; how long to stay away, in milliseconds. */
  readonly refusal: (waitMs: number) => Error;
}

/** A call that waits for what Redis says. */
export class Waiter {
  /** Whether it was let pass, was refused, or its caller gave up. */
  over = false;
  private readonly forget: () => void;

  constructor(
    readonly cost: number,
    readonly since: number,
    private readonly ends: WaitEnds,
  ) {
    const { cancel, reject } = ends;
    this.forget = cancel.onAbort(() => {
      this.over = true;
      reject(cancel.reason);
    });
  }

  pass(): void {
    this.over = true;
    this.forget();
    this.ends.pass();
  }

  refuse(waitMs: number): void {
    this.over = true;
    this.forget();
    this.ends.reject(this.ends.refusal(waitMs));
  }
}
