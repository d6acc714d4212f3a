import type { IncomingMessage, ServerResponse } from 'node:http';
import { type FrameworkChain, frameworkEntry } from '../http/framework-entry.js';
import { listenerMaker } from '../http/listener-maker.js';
import type { App } from '../stack/app.js';
import type { AppListenerOptions } from '../stack/app-listener.js';
import { followRoute, type RouteTrail } from './route-trail.js';

/** A middleware of Express, as far as it matters here. */
export type ExpressMiddleware = (
  req: IncomingMessage,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void;

class ExpressChain implements FrameworkChain {
  private trail: RouteTrail | undefined = undefined;

  constructor(
    private readonly req: IncomingMessage,
    private readonly next: () => void,
  ) {}

  proceed(): void {
    this.trail = followRoute(this.req);
    this.next();
  }
  template(): string | undefined {
    return this.trail?.template;
  }
}

/**
 * Governs an Express app, version 4 or 5, by a middleware that stands before all others: limits before any body is read,
 * deadline, spans and metrics under the template of the route, the call for {@link callOf} and for outgoing calls.
 *
 * Express answers errors as ever; refusals carry the status and the headers that it looks for. Use `governErrors` after the
 * routes to have faults told of. A call whose time is over is answered with 504, and what its handlers do after that has
 * no effect. Serve it with `app.serve(http.createServer(expressApp))`. Routers that are mounted by a regular expression have
 * no template: they appear by the path that led to them, and as `/*` once there are many.
 *
 * Not for an app that is given to `app.listener` anyway: the listener governs it, and this adds the names of routes only. The
 * same holds for a second one on a router; with a `use` of its own, which would be skipped, it answers 500.
 *
 * @param app - the app whose server it is
 * @param options - as those of `app.listener`
 * @throws TypeError or RangeError for options that cannot work
 * @example
 * ```ts
 * const shop = express().use(governExpress(app)).use(express.json());
 * shop.get('/users/:id', async (req, res) => res.json(await find(req.params.id)));
 * shop.use(governErrors());
 * await app.serve(http.createServer(shop), { port: 8080 });
 * ```
 */
export function governExpress(app: Pick<App, 'listener'>, options?: AppListenerOptions): ExpressMiddleware {
  const listen = listenerMaker('governExpress', app);
  const enter = frameworkEntry((handler) => listen(handler, options), options);
  return (req, res, next) => enter(req, res, new ExpressChain(req, next));
}
