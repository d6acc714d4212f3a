import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Call } from '../core/call.js';
import { type Clock, systemClock } from '../core/clock.js';
import { runWithCall } from '../core/current.js';
import type { Handler } from '../core/handler.js';
import { handlerError } from '../core/handler-error.js';
import { resolveOptions, wrongKind } from '../core/options.js';
import { direct, type Receiver } from '../core/receiver.js';
import { noRetry, retriedBelow, retryHeader } from '../core/retried-below.js';
import { noticeStart } from '../core/start-notice.js';
import { WheelEntry, wheelOf } from '../core/timer-wheel.js';
import { keepContext } from './body-context.js';
import { type HttpExchange, loadTold, whenClosed } from './exchange.js';
import { admitBody } from './expect-continue.js';
import type { Pairs } from './load-teller.js';
import { markServed, type ServedCall } from './served-call.js';
import { breakOff, isOver, noteDestroy, noteShed, wentOut, whenHeadWritten } from './server-response.js';
import { permitted } from './tied-server.js';
import { isUpgrade } from './upgrade.js';

/** What a user writes: a `node:http` listener that may be async, and that may look at the call. */
export type HttpHandler = (req: IncomingMessage, res: ServerResponse, call: Call) => unknown;

/** Options of {@link serveHandler}. */
export interface ServeHandlerOptions {
  /**
   * Whether the listener runs as the current call, so that outgoing calls inherit deadline, trace and metadata. `false`
   * spares the AsyncLocalStorage; `runWithCall` then makes a call current where it is needed.
   *
   * @defaultValue `true`
   */
  readonly context?: boolean | undefined;
  /**
   * Told of what a listener rejects with when its call is over already: after the answer has begun, after the deadline,
   * after the client went away. What it throws is dropped.
   *
   * @defaultValue none
   */
  readonly onLateError?: ((error: unknown, call: Call) => void) | undefined;
  /**
   * How long a listener that goes on after its connection has gone still counts as in flight, in milliseconds; 0 or more.
   * It works, so a limiter has to know of it; but one that hangs must not take a place for ever. A larger value guards
   * better against clients that give up and ask again.
   *
   * @defaultValue `30_000`
   */
  readonly abandonedMs?: number | undefined;
  /**
   * Tells the time and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link ServeHandlerOptions}. */
export const serveHandlerDefaults = {
  context: true,
  /** Drops it. */
  onLateError: () => undefined,
  abandonedMs: 30_000,
  clock: systemClock,
} as const;

type Settings = { readonly [Field in keyof ServeHandlerOptions]-?: NonNullable<ServeHandlerOptions[Field]> };

const none: Pairs = [];

class Patience extends WheelEntry {
  constructor(
    at: number,
    private readonly end: () => void,
  ) {
    super(at);
  }
  fire(): void {
    this.end();
  }
}

/** One exchange in the hands of a listener. It is answered when its head is written, or when no answer can be given. */
class Serving implements ServedCall {
  private done = false;
  private returned = false;
  private patience: Patience | undefined;

  constructor(
    private readonly settings: Settings,
    private readonly exchange: HttpExchange,
    readonly call: Call,
    private readonly outer: Receiver<HttpExchange>,
  ) {}

  start(listener: HttpHandler): void {
    const { exchange, call } = this;
    const { req, res } = exchange;
    // No deadline ends at the end of a body, so the head is what it has to hear of, however late the listener returns.
    const answered = (headers: unknown): void => {
      noteShed(res, headers);
      // A head after that is an answer on behalf of the listener, which works on.
      if (!call.cancel.aborted) this.answered();
    };
    whenHeadWritten(res, answered, (status) => this.headersFor(status));
    noteDestroy(res);
    whenClosed(exchange, () => this.closed());
    markServed(req, this);
    admitBody(req, res);
    try {
      const result = listener(req, res, call) as PromiseLike<unknown> | undefined;
      // The connection is somebody else's now: no deadline may write to it, and no limit waits for its end.
      if (isUpgrade(req)) this.answered();
      if (typeof result?.then !== 'function') this.ended();
      else
        result.then(
          () => this.ended(),
          (error: unknown) => this.fail(error),
        );
    } catch (error) {
      this.fail(error);
    }
  }

  note(error: unknown): void {
    const { exchange, call } = this;
    const { res } = exchange;
    if (!res.writableEnded) call.values.set(handlerError, error);
    if (res.headersSent || isOver(res)) {
      this.tell(error);
      return;
    }
    whenClosed(exchange, () => {
      // Answered with less than that, it was the client's fault or part of the plan.
      if (res.statusCode >= 500 || !wentOut(res)) this.tell(error);
    });
  }

  fail(error: unknown): void {
    this.returned = true;
    this.patience?.cancel();
    if (this.done) this.brokeOff(error);
    // Whoever cancelled has turned away: the rejection may be heard by nobody.
    if (this.done || this.call.cancel.aborted) this.tell(error);
    if (this.done) return;
    this.done = true;
    this.outer.failed(error);
  }

  /** What the answer tells besides, by its status. */
  private headersFor(status: number): Pairs {
    const load = loadTold(this.exchange)?.() ?? none;
    const failed = status >= 500 || status === 429;
    return failed && retriedBelow(this.call) ? [...load, [retryHeader, noRetry]] : load;
  }

  private answered(): void {
    if (this.done) return;
    this.done = true;
    this.outer.answered(this.exchange);
  }

  /** The listener has done its part; one in callback style may answer after that. */
  private ended(): void {
    this.returned = true;
    this.patience?.cancel();
    if (isOver(this.exchange.res)) this.answered();
  }

  private closed(): void {
    if (this.returned) {
      this.answered();
      return;
    }
    if (this.done) return;
    const { clock, abandonedMs } = this.settings;
    this.patience = new Patience(clock.now() + abandonedMs, () => this.answered());
    wheelOf(clock).add(this.patience);
  }

  private brokeOff(error: unknown): void {
    const { res } = this.exchange;
    if (res.writableEnded || isOver(res)) return;
    this.call.values.set(handlerError, error);
    breakOff(res);
  }

  private tell(error: unknown): void {
    try {
      this.settings.onLateError(error, this.call);
    } catch {
      // See the option.
    }
  }
}

/**
 * Makes the innermost handler of a server from a `node:http` listener, sync, async or in callback style.
 *
 * The call is answered when the head of the response is written, and over when the response is closed. What the listener
 * throws or rejects with before that fails the call; after it, the connection is cut unless the response is complete. A
 * listener that is not done when its client goes away is waited for, at most `abandonedMs`. A call that was given up
 * before its turn does not run.
 *
 * @throws TypeError or RangeError for options that are out of range
 * @example
 * ```ts
 * const handler = serveHandler((req, res) => void res.end('hello'));
 * ```
 */
export function serveHandler(
  listener: HttpHandler,
  options?: ServeHandlerOptions,
): Handler<HttpExchange, HttpExchange> {
  if (typeof listener !== 'function') throw wrongKind('serveHandler: the handler', 'a function', listener);
  const settings = resolveOptions<Settings>('serveHandler', serveHandlerDefaults, options, {
    abandonedMs: { min: 0 },
  });
  const start = (exchange: HttpExchange, call: Call, outer: Receiver<HttpExchange>): void => {
    if (call.cancel.aborted) outer.failed(call.cancel.reason);
    else new Serving(settings, exchange, call, outer).start(listener);
  };
  const serve = (exchange: HttpExchange, call: Call, outer: Receiver<HttpExchange>): void => {
    if (!call.cancel.aborted) noticeStart(call);
    const permission = permitted(call);
    if (permission === undefined) start(exchange, call, outer);
    else
      permission.then(
        () => start(exchange, call, outer),
        (error: unknown) => outer.failed(error),
      );
  };
  const { context, clock } = settings;
  return direct((exchange, call, outer) => {
    try {
      if (!context) serve(exchange, call, outer);
      else
        runWithCall(call, () => {
          keepContext(exchange.req);
          serve(exchange, call, outer);
        });
    } catch (fault) {
      // A response that cannot be prepared, a sealed one for example.
      outer.failed(fault);
    }
  }, clock);
}
