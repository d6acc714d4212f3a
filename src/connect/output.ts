import type { Clock, Timer } from '../core/clock.js';
import { errorForClient } from './refusal-error.js';

/** What an iterator of messages gives. */
type Result = IteratorResult<object, undefined>;

const over: Result = { done: true, value: undefined };

/** Whom the output of a handler tells what becomes of it. */
export interface OutputHost {
  readonly clock: Clock;
  /** How long a handler that goes on after its client has gone still counts. */
  readonly abandonedMs: number;
  /** Runs a piece of the handler as part of its call. */
  within<T>(run: () => T): T;
  /** Why nobody waits any more, when the protocol does not say. */
  left(): unknown;
  /** It is over: with its last message if there is no error. */
  ended(error: unknown): void;
  /** The handler failed when nobody waited any more. */
  failedLate(error: unknown): void;
}

/** Whoever waits for a message. */
interface Waiting {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/** Nobody waits for how it ends. */
function unheard(ending: PromiseLike<unknown> | undefined): void {
  ending?.then(undefined, () => undefined);
}

/** The messages of a handler on their way out. */
export class Output implements AsyncIterableIterator<object> {
  private first: Result | undefined = undefined;
  private waiting: Waiting | undefined = undefined;
  private working = false;
  /** Boxed: why nobody waits for messages any more. */
  private gone: { readonly reason: unknown } | undefined = undefined;
  private done = false;
  private patience: Timer | undefined = undefined;

  constructor(
    private readonly inner: AsyncIterator<object>,
    private readonly host: OutputHost,
  ) {}

  /** Waits for the first message, or the end. What fails before that is the failure of the call. */
  async begin(): Promise<void> {
    const first = await this.host.within(() => this.inner.next());
    this.first = first;
    if (first.done) this.end(undefined);
  }

  next(): Promise<Result> {
    const { first } = this;
    this.first = undefined;
    if (first !== undefined) return Promise.resolve(first);
    if (this.done || this.gone) return Promise.resolve(over);
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.pull().then(
        (result) => this.came(result),
        (error: unknown) => this.failed(error),
      );
    });
  }

  /** Nobody wants the rest: the connection cannot be written to. */
  return(): Promise<Result> {
    this.leave(this.host.left());
    return Promise.resolve(over);
  }

  /** The same, with a reason that the handler may want to know. */
  throw(error: unknown): Promise<Result> {
    if (!this.working && !this.done && !this.gone) unheard(this.host.within(() => this.inner.throw?.(error)));
    return this.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The call ends whatever the handler does, which counts as long as it works, but not for ever. */
  leave(reason: unknown): void {
    if (this.done || this.gone) return;
    this.gone = { reason };
    this.waiting?.reject(errorForClient(reason));
    this.waiting = undefined;
    const { clock, abandonedMs } = this.host;
    if (this.working) this.patience = clock.after(abandonedMs, () => this.end(reason));
    else this.close(reason);
  }

  /** Async, so that an iterator which throws against its contract is one that rejects. */
  private async pull(): Promise<Result> {
    this.working = true;
    try {
      return await this.host.within(() => this.inner.next());
    } finally {
      this.working = false;
    }
  }

  private came(result: Result): void {
    const { gone, waiting } = this;
    this.waiting = undefined;
    if (gone !== undefined) this.close(gone.reason);
    else if (result.done) this.end(undefined);
    waiting?.resolve(result);
  }

  private failed(error: unknown): void {
    const { gone, waiting } = this;
    this.waiting = undefined;
    if (gone !== undefined) this.host.failedLate(error);
    this.end(gone === undefined ? error : gone.reason);
    waiting?.reject(errorForClient(error));
  }

  /** Lets the handler clean up. */
  private close(reason: unknown): void {
    unheard(this.host.within(() => this.inner.return?.()));
    this.end(reason);
  }

  private end(error: unknown): void {
    if (this.done) return;
    this.done = true;
    this.patience?.cancel();
    this.host.ended(error);
  }
}
