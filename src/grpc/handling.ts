import type { EventEmitter } from 'node:events';
import { Duplex, Writable } from 'node:stream';
import type { Metadata, sendUnaryData } from '@grpc/grpc-js';
import { isGovernanceError } from '../core/errors.js';
import { isCoded, statusOfError } from './error-status.js';
import type { InboundCall } from './inbound-call.js';
import { inboundOf } from './inbound-of.js';

/** What grpc-js gives to a handler, of whichever kind. */
export type SurfaceCall = EventEmitter & { readonly metadata: Metadata };
/** Whom a handler of one answer gives it. */
export type Callback = sendUnaryData<unknown>;
/** A handler of whichever kind. */
export type Run = (call: SurfaceCall, callback: Callback | undefined) => unknown;

/** Whether grpc-js itself gives an error the right status. */
function known(error: unknown): boolean {
  return isCoded(error) && !isGovernanceError(error);
}

/** `for await` destroys the stream that it has read. Of one in both directions that would be the answer, too. */
function keepAnswer(call: Duplex): void {
  call[Symbol.asyncIterator] = () => call.iterator({ destroyOnReturn: false });
}

/** One call in the hands of one handler. */
export class Handling {
  private readonly inbound: InboundCall | undefined;
  private answered = false;

  constructor(
    private readonly call: SurfaceCall,
    private readonly callback: Callback | undefined,
  ) {
    this.inbound = inboundOf(call);
    if (!(call instanceof Writable)) return;
    if (call instanceof Duplex) keepAnswer(call);
    // Before grpc-js' own listener, which would answer with the text of whatever it is told.
    call.prependListener('error', (error) => this.broke(error, call));
    call.once('close', () => this.closed(call));
  }

  run(handler: Run): void {
    try {
      const result = handler(this.call, this.callback && this.answer) as PromiseLike<unknown> | undefined;
      if (typeof result?.then !== 'function') return;
      this.inbound?.worksOn(result);
      result.then((value) => this.returned(value, handler), this.failed);
    } catch (error) {
      this.failed(error);
    }
  }

  private readonly answer: Callback = (error, value, trailer, flags) => {
    if (error && !known(error)) this.failed(error);
    else if (this.first()) this.callback?.(error, value, trailer, flags);
  };

  /** A handler in callback style may be async too, and return nothing; one that takes no callback would never answer. */
  private returned(value: unknown, { length }: Run): void {
    if (this.answered || this.callback === undefined) return;
    if (value !== undefined) this.answer(null, value);
    else if (length < 2) this.failed(new TypeError('the handler returned nothing; an empty message is {}'));
  }

  private readonly failed = (error: unknown): void => {
    const { inbound } = this;
    if (inbound !== undefined && !known(error)) inbound.fail(error);
    else this.reply(error);
  };

  /** Of two answers grpc-js would make a mixture. */
  private first(): boolean {
    const { answered } = this;
    this.answered = true;
    return !answered;
  }

  private broke(error: unknown, { destroyed }: Writable): void {
    if (!known(error)) this.inbound?.fail(error);
    // A stream that is destroyed, by `pipeline` for example, grpc-js cannot end any more.
    else if (destroyed) this.inbound?.sendStatus(statusOfError(error));
  }

  /** What was destroyed without an error has no end that grpc-js would tell the client of. */
  private closed({ writableFinished, errored }: Writable): void {
    if (writableFinished || errored) return;
    this.inbound?.forsake();
  }

  private reply(error: unknown): void {
    const { code, details, metadata } = statusOfError(error);
    const status = { code, details, ...(metadata ? { metadata } : {}) };
    if (this.callback) this.answer(status);
    else this.call.emit('error', Object.assign(new Error(details), status));
  }
}
