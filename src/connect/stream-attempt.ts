import { Code, ConnectError, type StreamResponse } from '@connectrpc/connect';
import type { Outcome } from '../core/outcome.js';
import { Attempt, type Sending } from './attempt.js';
import type { StreamOutgoing } from './connect-request.js';
import { outcomeOfError } from './wire-fault.js';

/** What an iterator of messages gives. */
export type Result = IteratorResult<object, undefined>;

const over: Result = { done: true, value: undefined };

/**
 * A try of a call with a stream. It is answered with its first message, or its end: servers send nothing before that, and
 * until then nobody has anything of it. One whose answer is a single message is answered when that is complete.
 */
export class StreamAttempt extends Attempt<StreamOutgoing> {
  response: StreamResponse | undefined = undefined;
  private source: AsyncIterator<object> | undefined = undefined;
  /** What came before anybody read. */
  private readonly early: Result[] = [];

  protected get resendable(): boolean {
    return this.response === undefined && this.request.resendable;
  }

  override start(): void {
    this.request.begun();
    super.start();
  }

  /** The next message. */
  async read(): Promise<Result> {
    const early = this.early.shift();
    if (early !== undefined) return early;
    if (this.error !== undefined) throw this.error;
    const { source } = this;
    if (this.over || source === undefined) return over;
    let result: Result;
    try {
      result = await source.next();
    } catch (error) {
      this.breakOff(ConnectError.from(error));
      throw this.error;
    }
    if (this.error !== undefined) throw this.error;
    if (result.done) this.finish('success');
    return result;
  }

  protected async send({ signal, timeoutMs, header }: Sending): Promise<void> {
    const { method, upload, contextValues } = this.request;
    const feed = upload.feed();
    const response = await this.transport.stream(method, signal, timeoutMs, header, feed, contextValues);
    if (this.over) return;
    this.response = response;
    this.request.headed(response);
    const source: AsyncIterator<object> = response.message[Symbol.asyncIterator]();
    this.source = source;
    const enough = method.methodKind === 'client_streaming' ? 2 : 1;
    let ended = false;
    while (!ended && this.early.length < enough) {
      const result = await source.next();
      this.early.push(result);
      ended = result.done === true;
    }
    if (ended) this.finish('success');
    this.answered();
  }

  protected override finish(outcome: Outcome): void {
    if (!this.over) this.request.ended();
    super.finish(outcome);
  }

  private breakOff(error: ConnectError): void {
    if (this.over) return;
    this.error = error;
    // Time that a caller gives to a whole stream says nothing of its callee.
    this.finish(error.code === Code.DeadlineExceeded ? 'ignored' : outcomeOfError(error));
  }
}
