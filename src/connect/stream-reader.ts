import type { StreamResponse } from '@connectrpc/connect';
import type { CancelSource } from '../core/cancel.js';
import { refusal } from '../core/errors.js';
import type { ConnectAnswer } from './connect-answer.js';
import { errorForCaller } from './refusal-error.js';
import { type Result, StreamAttempt } from './stream-attempt.js';

const over: Result = { done: true, value: undefined };

function leave(cancel: CancelSource): void {
  cancel.abort(refusal('CANCELLED', 'its reader left the stream', { side: 'client' }));
}

const collected = new FinalizationRegistry<CancelSource>(leave);

/** One next message after the other. */
type Next = () => Promise<Result>;

function nextOf(answer: ConnectAnswer): Next {
  if (answer.error !== undefined) throw answer.error;
  if (answer instanceof StreamAttempt) return () => answer.read();
  // Of a middleware of the user's.
  const messages: AsyncIterator<object> = (answer.response as StreamResponse).message[Symbol.asyncIterator]();
  return () => messages.next();
}

/**
 * The messages of a stream in the hands of its reader. A reader that stopped and was forgotten is found by the garbage
 * collector, and the stream ended, which else would stay open for ever: clients of Connect do not tell their transport when
 * somebody leaves by `break`.
 */
export class StreamReader implements AsyncIterableIterator<object> {
  private readonly ready: Promise<Next>;
  private done = false;

  /** @param cancel - of the call; must not lead back to the reader */
  constructor(
    running: Promise<ConnectAnswer>,
    private readonly cancel: CancelSource,
  ) {
    this.ready = running.then(nextOf);
    // Heard when somebody reads.
    this.ready.catch(() => undefined);
    collected.register(this, cancel, this);
  }

  /** Holds the reader as long as a message is on its way, whoever waits for it. */
  async next(): Promise<Result> {
    if (this.done) return over;
    try {
      const next = await this.ready;
      const result = await next();
      if (result.done) this.close();
      return result;
    } catch (error) {
      // Told once; and whoever has left is told nothing.
      if (this.done) return over;
      this.close();
      throw errorForCaller(error, this.cancel);
    }
  }

  return(): Promise<Result> {
    this.close();
    leave(this.cancel);
    return Promise.resolve(over);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private close(): void {
    this.done = true;
    collected.unregister(this);
  }
}
