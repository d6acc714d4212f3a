import { AsyncResource } from 'node:async_hooks';
import {
  Code,
  ConnectError,
  type Interceptor,
  type StreamResponse,
  type UnaryResponse,
} from '@connectrpc/connect';
import type { Call } from '../core/call.js';
import { cancelSource } from '../core/cancel.js';
import { type Clock, systemClock, type Timer } from '../core/clock.js';
import { refusal } from '../core/errors.js';
import { type Handler, invoke } from '../core/handler.js';
import { handlerError } from '../core/handler-error.js';
import { callOver } from '../core/over.js';
import { retriedBelow } from '../core/retried-below.js';
import { trustedPeer } from '../core/trust.js';
import type { LoadTeller } from '../http/load-teller.js';
import { markCall } from './call-of.js';
import type { ConnectExchange } from './connect-exchange.js';
import { errorWithLoad, tellLoad, withholdLoad } from './load-headers.js';
import { Output, type OutputHost } from './output.js';
import { arrivalOf, type Peer } from './peer.js';
import { errorForClient, errorRetriedBelow } from './refusal-error.js';
import { pathOf, type RpcMethod } from './rpc-method.js';

/** What runs the handler, and the interceptors between it and us. */
export type InnerHandler = Parameters<Interceptor>[0];
/** A request as interceptors see it. */
export type Incoming = Parameters<InnerHandler>[0];
/** A response as they see it. */
export type Outgoing = UnaryResponse | StreamResponse;

/** What all calls of one governed server have in common. */
export interface InboundParts {
  /** Makes the call of an exchange. */
  readonly open: (exchange: InboundCall) => Call;
  /** The server stack; its innermost handler is {@link InboundCall.run}. */
  readonly stack: Handler<ConnectExchange, ConnectExchange>;
  /** Told of errors that nobody waits for any more. */
  readonly tell: (error: unknown, call: Call) => void;
  readonly abandonedMs: number;
  /** Writes what is told of the load; `undefined` where nobody is told. */
  readonly teller: LoadTeller | undefined;
}

/**
 * One call on a server of Connect, between the protocol and the handler. It is answered with its one message or the first
 * of its stream, and over when the last is on its way, or nobody waits for any.
 */
export class InboundCall implements ConnectExchange, OutputHost {
  readonly cancel = cancelSource();
  readonly clock: Clock = systemClock;
  error: unknown = undefined;
  over = false;
  private response: Outgoing | undefined = undefined;
  private outer: Call | undefined = undefined;
  private call: Call | undefined = undefined;
  private output: Output | undefined = undefined;
  private scope: AsyncResource | undefined = undefined;
  /** What the handler's signal is made of, where the deadline is not only the client's. */
  private controller: AbortController | undefined = undefined;
  private readonly ends: (() => void)[] = [];

  constructor(
    readonly incoming: Incoming,
    private readonly inner: InnerHandler,
    private readonly parts: InboundParts,
  ) {}

  get method(): RpcMethod {
    return this.incoming.method;
  }
  get header(): Headers {
    return this.incoming.header;
  }
  get peer(): Peer | undefined {
    return arrivalOf(this.incoming.contextValues);
  }
  get abandonedMs(): number {
    return this.parts.abandonedMs;
  }

  whenOver(run: () => void): void {
    this.ends.push(run);
  }

  /** Runs the call through the stack. */
  serve(): Promise<Outgoing> {
    const { cancel, incoming } = this;
    const call = this.parts.open(this);
    this.outer = call;
    return new Promise((resolve, reject) => {
      // A handler may not heed its signal, and nobody need wait for it.
      cancel.onAbort(() => reject(this.errorToTell(cancel.reason)));
      if (incoming.signal.aborted) this.aborted();
      else incoming.signal.addEventListener('abort', this.aborted, { once: true });
      invoke(this.parts.stack, this, call)
        .catch((error: unknown) => this.fail(error))
        .then(() => {
          if (this.error === undefined || this.output !== undefined)
            resolve(this.told(this.response as Outgoing));
          else reject(this.errorToTell(this.error));
        }, reject);
    });
  }

  /** Lets the handler begin. The innermost handler of the stack. */
  run(call: Call): Promise<ConnectExchange> {
    if (call.cancel.aborted) return Promise.reject(call.cancel.reason);
    this.call = call;
    markCall(this.incoming.contextValues, call);
    call.cancel.onAbort(() => this.controller?.abort(errorForClient(call.cancel.reason)));
    return new Promise((resolve, reject) => {
      let patience: Timer | undefined;
      const unhook = call.cancel.onAbort(() => {
        patience = this.clock.after(this.abandonedMs, () => {
          this.finish();
          resolve(this);
        });
      });
      const done = (): void => {
        unhook();
        patience?.cancel();
      };
      this.handle(call).then(
        () => {
          done();
          resolve(this);
        },
        (error: unknown) => {
          done();
          // Whoever cancelled has turned away: the rejection may be heard by nobody.
          if (call.cancel.aborted) this.failedLate(error);
          reject(error);
        },
      );
    });
  }

  /** Answers in the handler's place. */
  fail(error: unknown): void {
    this.error ??= error ?? new Error('the handler threw undefined');
    this.finish();
  }

  /** Connect asks for messages out of an event of the connection, which knows no call. */
  within<T>(run: () => T): T {
    return this.scope === undefined ? run() : this.scope.runInAsyncScope(run);
  }

  left(): unknown {
    return this.reasonFor(undefined);
  }

  ended(error: unknown): void {
    if (error !== undefined) this.noteError(error);
    this.finish();
  }

  failedLate(error: unknown): void {
    if (!(error instanceof ConnectError)) this.parts.tell(error, this.call as Call);
  }

  private told(response: Outgoing): Outgoing {
    const teller = this.tellerForPeer();
    if (teller === undefined) withholdLoad(response);
    else tellLoad(response, teller, this.header);
    return response;
  }

  private errorToTell(error: unknown): unknown {
    const teller = this.tellerForPeer();
    const ours = errorForClient(error);
    const told = retriedBelow(this.outer) ? errorRetriedBelow(ours) : ours;
    return teller === undefined ? told : errorWithLoad(told, teller, this.header);
  }

  private tellerForPeer(): LoadTeller | undefined {
    const { teller } = this.parts;
    return teller?.tells(this.outer?.values.get(trustedPeer) === true) ? teller : undefined;
  }

  private async handle(call: Call): Promise<void> {
    const response = await this.inner({ ...this.incoming, signal: this.signalFor(call) });
    if (!response.stream) {
      this.response = response;
      this.finish();
      return;
    }
    this.scope = new AsyncResource('keelson.connect');
    const output = new Output(response.message[Symbol.asyncIterator]() as AsyncIterator<object>, this);
    await output.begin();
    if (call.cancel.aborted) {
      // Too late, whatever it is.
      output.leave(call.cancel.reason);
      return;
    }
    this.output = output;
    this.response = { ...response, message: output as never };
  }

  /** The native one, unless somebody on this side may cancel too: a controller costs some microseconds. */
  private signalFor({ cancel }: Call): AbortSignal {
    if (cancel === this.cancel) return this.incoming.signal;
    this.controller = new AbortController();
    return this.controller.signal;
  }

  /** The client went away, or its time is over; or all is over, for which there is the same signal. */
  private readonly aborted = (): void => {
    const reason: unknown = this.incoming.signal.reason;
    this.controller?.abort(reason);
    if (this.over) return;
    const why = this.reasonFor(reason);
    if (this.output === undefined) this.error ??= why;
    this.cancel.abort(why);
    this.output?.leave(why);
  };

  private reasonFor(reason: unknown): unknown {
    const code = reason instanceof ConnectError ? reason.code : Code.Canceled;
    // What the owner of the server gave to its `shutdownSignal`.
    if (code === Code.Unavailable) return reason;
    const late = code === Code.DeadlineExceeded;
    const message = `${pathOf(this.method)}: ${late ? 'time is over' : 'the client went away, or broke the rules'}`;
    const service = this.outer?.service;
    return refusal(late ? 'DEADLINE_EXCEEDED' : 'CANCELLED', message, { service, side: 'server' });
  }

  /** Of a stream that has begun: the stack has seen a good answer. */
  private noteError(error: unknown): void {
    const { call } = this;
    if (this.error !== undefined || call === undefined) return;
    this.error = error;
    call.values.set(handlerError, error);
    if (!call.cancel.aborted) this.failedLate(error);
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.outer?.values.set(callOver, true);
    for (const run of this.ends.splice(0)) {
      try {
        run();
      } catch {
        // A gate of the user's: the others have to be told, and nobody waits for this one.
      }
    }
  }
}
