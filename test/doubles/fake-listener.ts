import type { App, AppListenerOptions } from 'keelson';
import type { Call } from 'keelson/core';
import {
  exchangeProtocol,
  type HttpExchange,
  type HttpHandler,
  recover,
  serveHandler,
  toListener,
} from 'keelson/http';

/** The listener of an app without its policies. */
export interface FakeListener extends Pick<App, 'listener'> {
  /** What listeners were made with. */
  readonly options: (AppListenerOptions | undefined)[];
  /** Calls that came through, as the handler is given them. */
  readonly calls: Call[];
  /** Errors that were told. */
  readonly told: unknown[];
  /** How calls stand when their handler has answered. */
  readonly outcomes: string[];
}

/** @param refusal - what every call is refused with */
export function fakeListener(refusal?: Error): FakeListener {
  const calls: Call[] = [];
  const told: unknown[] = [];
  const options: (AppListenerOptions | undefined)[] = [];
  const outcomes: string[] = [];
  return {
    calls,
    told,
    options,
    outcomes,
    listener(handler: HttpHandler, given?: AppListenerOptions) {
      options.push(given);
      const serve = serveHandler(
        (req, res, call) => {
          calls.push(call);
          return handler(req, res, call);
        },
        { onLateError: (error) => told.push(error) },
      );
      const answer = (exchange: HttpExchange, call: Call): Promise<HttpExchange> =>
        refusal === undefined ? serve(exchange, call) : Promise.reject(refusal);
      const noted = (exchange: HttpExchange, call: Call): Promise<HttpExchange> =>
        recover((error) => told.push(error))(answer)(exchange, call).then((answered) => {
          outcomes.push(exchangeProtocol.classify(answered, undefined));
          return answered;
        });
      return toListener(noted, { service: 'shop', routes: given?.routes });
    },
  };
}
