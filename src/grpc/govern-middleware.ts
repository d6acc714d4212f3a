import { status } from '@grpc/grpc-js';
import type { Call } from '../core/call.js';
import { currentCall } from '../core/current.js';
import { inboundKey } from './inbound-call.js';
import { isNiceError, niceError } from './nice-error.js';

/** What {@link governMiddleware} adds to the context of a handler. */
export interface GovernedContext {
  /** The call that the handler is at; `undefined` on a server without {@link governServer}. */
  readonly call: Call | undefined;
}

/** What nice-grpc gives to a middleware of a server; in two forms, by which it infers what the middleware adds. */
export type NiceCall<Request, Response> = {
  /** One message, or all that come. */
  readonly request: Request | AsyncIterable<Request>;
} & (
  | {
      readonly responseStream: false;
      /** Runs the handler, and the middlewares before it. */
      next(
        request: Request | AsyncIterable<Request>,
        context: GovernedContext,
      ): AsyncGenerator<never, Response, undefined>;
    }
  | {
      readonly responseStream: true;
      /** Runs the handler, and the middlewares before it. */
      next(
        request: Request | AsyncIterable<Request>,
        context: GovernedContext,
      ): AsyncGenerator<Response, void, undefined>;
    }
);

/** A `ServerMiddleware` of nice-grpc, without its types. */
export type NiceMiddleware = <Request, Response>(
  call: NiceCall<Request, Response>,
  context: object,
) => AsyncGenerator<Response, Response | void, undefined>;

/**
 * The part of {@link governServer} that nice-grpc needs inside of itself: gives handlers the call in their context, and
 * errors their status: a refusal of keelson its own, a `ServerError` and an abort as nice-grpc does it, anything else
 * UNKNOWN without details, told as a fault. Put it first.
 *
 * @example
 * ```ts
 * const server = createServer({ interceptors: [governServer(app)] }).use(governMiddleware());
 * server.add(GreeterDefinition, { sayHello: async (request, { call }) => ({ message: 'hello' }) });
 * ```
 */
export function governMiddleware(): NiceMiddleware {
  return async function* govern(given, context) {
    const call = currentCall();
    const inbound = call?.values.get(inboundKey);
    let done: (() => void) | undefined;
    inbound?.worksOn(
      new Promise<void>((resolve) => {
        done = resolve;
      }),
    );
    try {
      return yield* given.next(given.request, { ...context, call });
    } catch (error) {
      if (inbound === undefined || isNiceError(error)) throw error;
      inbound.fail(error);
      // Nothing that comes after this goes out; nice-grpc only has to know that it need not warn of it.
      throw niceError(status.UNKNOWN, 'Unknown error');
    } finally {
      done?.();
    }
  };
}
