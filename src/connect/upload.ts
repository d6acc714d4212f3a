import type { Outbound } from './rpc-method.js';

type Result = IteratorResult<Outbound, undefined>;

const over: Result = { done: true, value: undefined };

/** Whoever writes has no part in how it ends. */
function unheard(ending: Promise<unknown> | undefined): void {
  ending?.catch(() => undefined);
}

/** How many results are kept to be given again: those of a stream of one message, the end being one. */
const keeps = 2;

/**
 * The messages that a caller sends, for one attempt after the other: those of a short stream are kept, and the caller's own
 * iterable is told of the end of the call, not of that of an attempt.
 */
export class Upload {
  private readonly source: AsyncIterator<Outbound>;
  private readonly kept: Promise<Result>[] = [];
  private spent = false;
  private complete = false;
  private ended = false;

  constructor(messages: AsyncIterable<Outbound>) {
    this.source = messages[Symbol.asyncIterator]();
  }

  /** Whether all that attempts took is still here. */
  get intact(): boolean {
    return !this.spent;
  }
  /** Whether all that there is was taken, and is still here. */
  get whole(): boolean {
    return this.complete && !this.spent;
  }

  /** All messages, for one attempt. */
  feed(): AsyncIterableIterator<Outbound> {
    return new Feed(this);
  }

  take(index: number): Promise<Result> {
    if (this.ended) return Promise.resolve(over);
    if (index >= keeps) {
      this.spent = true;
      return this.pull();
    }
    const known = this.kept[index] ?? this.pull();
    this.kept[index] = known;
    return known;
  }

  /** The call is over. As transports do, a writer is told what went wrong, and then that nobody reads any more. */
  end(error: unknown): void {
    if (this.ended) return;
    this.ended = true;
    const { source } = this;
    try {
      if (error !== undefined) unheard(source.throw?.(error));
      unheard(source.return?.());
    } catch {
      // See `unheard`.
    }
  }

  /** Async, so that an iterator which throws against its contract is one that rejects. */
  private async pull(): Promise<Result> {
    const result = await this.source.next();
    if (result.done) this.complete = true;
    return result;
  }
}

/** What one attempt sends. Transports end it when the attempt is over, which says nothing of the call. */
class Feed implements AsyncIterableIterator<Outbound> {
  private index = 0;
  private closed = false;

  constructor(private readonly upload: Upload) {}

  next(): Promise<Result> {
    return this.closed ? Promise.resolve(over) : this.upload.take(this.index++);
  }
  return(): Promise<Result> {
    this.closed = true;
    return Promise.resolve(over);
  }
  throw(): Promise<Result> {
    return this.return();
  }
  [Symbol.asyncIterator](): this {
    return this;
  }
}
