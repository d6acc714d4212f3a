import type { IncomingMessage } from 'node:http';
import { type FrameworkChain, frameworkEntry } from '../http/framework-entry.js';
import { listenerMaker } from '../http/listener-maker.js';
import { servedCall } from '../http/served-call.js';
import { isUpgrade } from '../http/upgrade.js';
import type { App } from '../stack/app.js';
import type { AppListenerOptions } from '../stack/app-listener.js';
import { handshakeResponse } from './handshake.js';
import {
  type HonoContextShape,
  type HonoMiddleware,
  type NodeRequest,
  type NodeResponse,
  nodeBindings,
} from './hono-shape.js';
import { routeTemplate } from './route-template.js';

const nothing = (): undefined => undefined;

/**
 * By this header `@hono/node-server` knows that the response was written past Hono. It replaces the global `Response` by
 * one whose headers it does not look at; a clone of that is one of the platform's again.
 */
function alreadySent(): Response {
  return new Response(null, { headers: { 'x-hono-already-sent': 'true' } }).clone();
}

/** What `@hono/node-server` says of a body that ended early, also because the call was answered before: an error without a code. */
function isBrokenUpload(error: unknown, incoming: NodeRequest): boolean {
  return incoming.destroyed && String(error) === 'Error: Client connection prematurely closed.';
}

class HonoChain implements FrameworkChain {
  /** @param sent - what Hono is given in place of a response that it had no part in */
  constructor(
    private readonly c: HonoContextShape,
    private readonly incoming: NodeRequest,
    private readonly next: () => Promise<void>,
    private readonly sent: () => Response,
    private readonly done: (response: Promise<undefined> | Response) => void,
  ) {}

  proceed(): Promise<void> {
    const running = this.run();
    this.done(running);
    // Whoever called Hono answers the error.
    return running.then(nothing, nothing);
  }
  template(): string | undefined {
    return routeTemplate(this.c.req);
  }
  answered(): void {
    this.done(this.sent());
  }

  private async run(): Promise<undefined> {
    try {
      await this.next();
    } catch (error) {
      // What is thrown and is no Error is not for Hono's error handler.
      this.note(error);
      throw error;
    }
    if (this.c.error !== undefined) this.note(this.c.error);
  }
  private note(error: unknown): void {
    if (!isBrokenUpload(error, this.incoming)) servedCall(this.incoming)?.note(error);
  }
}

/**
 * Governs a Hono app on `@hono/node-server` by a middleware that stands before all others: limits before any body is read,
 * deadline, spans and metrics under the template of the route, the call for {@link callOf} and for outgoing calls.
 *
 * Operations have the template from the beginning, so limits by operation see it. Errors are answered by Hono or by your
 * `onError`; refusals carry the response that Hono looks for. A call whose time is over is answered with 504, and what its
 * handler does after that has no effect. Serve it with `app.serve(createAdaptorServer(hono))`.
 *
 * Of a WebSocket the handshake is governed, limits and `use` included: refused it is answered, let in it is over.
 *
 * Where there is no Node server behind Hono, in `hono.request()` of a test or in another runtime, requests pass ungoverned.
 *
 * @param app - the app whose server it is
 * @param options - as those of `app.listener`
 * @throws TypeError or RangeError for options that cannot work
 * @example
 * ```ts
 * const shop = new Hono().use(governHono(app));
 * shop.get('/users/:id', async (c) => c.json(await find(c.req.param('id'))));
 * await app.serve(createAdaptorServer(shop), { port: 8080 });
 * ```
 */
export function governHono(app: Pick<App, 'listener'>, options?: AppListenerOptions): HonoMiddleware {
  const listen = listenerMaker('governHono', app);
  const enter = frameworkEntry(
    (handler, route) => listen(handler, { ...options, routes: options?.routes ?? route }),
    options,
  );
  return (c, next) => {
    const { incoming, outgoing } = nodeBindings(c) ?? {};
    if (incoming === undefined) return next().then(nothing);
    const govern = (response: NodeResponse, sent: () => Response): Promise<Response | undefined> =>
      new Promise((resolve) => enter(incoming, response, new HonoChain(c, incoming, next, sent, resolve)));
    if (outgoing !== undefined) return govern(outgoing, alreadySent);
    if (!isUpgrade(incoming as IncomingMessage)) return next().then(nothing);
    const handshake = handshakeResponse(incoming as IncomingMessage);
    return govern(handshake, () => new Response(null, { status: handshake.statusCode }));
  };
}
