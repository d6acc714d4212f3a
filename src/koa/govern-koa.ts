import { type FrameworkChain, frameworkEntry } from '../http/framework-entry.js';
import { listenerMaker } from '../http/listener-maker.js';
import { servedCall } from '../http/served-call.js';
import type { App } from '../stack/app.js';
import type { AppListenerOptions } from '../stack/app-listener.js';
import type { KoaContextShape, KoaMiddleware } from './koa-shape.js';
import { routeTemplate } from './route-template.js';

const nothing = (): void => undefined;

class KoaChain implements FrameworkChain {
  constructor(
    private readonly ctx: KoaContextShape,
    private readonly next: () => Promise<unknown>,
    private readonly done: (running?: Promise<void>) => void,
  ) {}

  proceed(): Promise<void> {
    const running = this.next().then(nothing, (error: unknown) => {
      servedCall(this.ctx.req)?.note(error);
      throw error;
    });
    this.done(running);
    // Koa answers the error.
    return running.catch(nothing);
  }
  template(): string | undefined {
    return routeTemplate(this.ctx);
  }
  answered(): void {
    this.ctx.respond = false;
    this.done();
  }
}

/**
 * Governs a Koa app, version 3, by a middleware that stands before all others: limits before any body is read, deadline,
 * spans and metrics under the template of the route (`@koa/router`), the call for {@link callOf} and for outgoing calls.
 *
 * Koa answers errors as ever; refusals carry the status and the headers that it looks for. A call whose time is over is
 * answered with 504, and what its middlewares do after that has no effect. Serve it with
 * `app.serve(http.createServer(koa.callback()))`.
 *
 * @param app - the app whose server it is
 * @param options - as those of `app.listener`
 * @throws TypeError or RangeError for options that cannot work
 * @example
 * ```ts
 * const shop = new Koa().use(governKoa(app));
 * const router = new Router().get('/users/:id', async (ctx) => void (ctx.body = await find(ctx.params.id)));
 * await app.serve(http.createServer(shop.use(router.routes()).callback()), { port: 8080 });
 * ```
 */
export function governKoa(app: Pick<App, 'listener'>, options?: AppListenerOptions): KoaMiddleware {
  const listen = listenerMaker('governKoa', app);
  const enter = frameworkEntry((handler) => listen(handler, options), options);
  return (ctx, next) => new Promise((resolve) => enter(ctx.req, ctx.res, new KoaChain(ctx, next, resolve)));
}
