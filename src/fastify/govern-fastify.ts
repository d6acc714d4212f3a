import { type FrameworkChain, frameworkEntry } from '../http/framework-entry.js';
import { listenerMaker } from '../http/listener-maker.js';
import { servedCall } from '../http/served-call.js';
import type { App } from '../stack/app.js';
import type { AppListenerOptions } from '../stack/app-listener.js';
import type { FastifyPlugin, FastifyRequestShape } from './fastify-shape.js';

/** `*` is how Fastify writes what matches all paths. */
function templateOf({ routeOptions: { url } }: FastifyRequestShape): string | undefined {
  return url === undefined || url.startsWith('/') ? url : `/${url}`;
}

class FastifyChain implements FrameworkChain {
  private readonly url: string | undefined;

  constructor(
    request: FastifyRequestShape,
    readonly proceed: () => void,
  ) {
    this.url = templateOf(request);
  }
  template(): string | undefined {
    return this.url;
  }
}

/**
 * Makes a Fastify plugin, for version 5, that governs all requests of the instance: limits before any body is parsed,
 * deadline, spans and metrics under the template of the route, the call for {@link callOf} and for outgoing calls.
 *
 * Register it first: its hooks run in the order of registration. Operations have the template from the beginning, so
 * limits by operation see it. Of a WebSocket that comes through a route the handshake is governed, limits and `use` included. Errors are answered by Fastify or by your error handler; refusals carry the status and the
 * headers that Fastify looks for. A call whose time is over is answered with 504, and what its handler does after that has
 * no effect; an error that comes so late is in Fastify's log alone. Serve it with `await fastify.ready()`, then `app.serve(fastify.server)`; for
 * the `onClose` hooks of plugins call `fastify.close()` in the app's `hooks.afterStop`.
 *
 * @param app - the app whose server it is
 * @param options - as those of `app.listener`
 * @throws TypeError or RangeError for options that cannot work
 * @example
 * ```ts
 * const shop = fastify();
 * shop.register(governFastify(app));
 * shop.get('/users/:id', async (request) => find(request.params.id));
 * await shop.ready();
 * await app.serve(shop.server, { port: 8080 });
 * ```
 */
export function governFastify(app: Pick<App, 'listener'>, options?: AppListenerOptions): FastifyPlugin {
  const listen = listenerMaker('governFastify', app);
  const enter = frameworkEntry(
    (handler, route) => listen(handler, { ...options, routes: options?.routes ?? route }),
    options,
  );
  const plugin: FastifyPlugin = (fastify, _options, done) => {
    fastify.addHook('onRequest', (request, reply, next) =>
      enter(request.raw, reply.raw, new FastifyChain(request, next)),
    );
    fastify.addHook('onError', (request, _reply, error, next) => {
      servedCall(request.raw)?.note(error);
      next();
    });
    done();
  };
  return Object.assign(plugin, {
    // For the instance itself, and not for a scope of the plugin's own: what `fastify-plugin` does.
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: 'keelson',
    [Symbol.for('plugin-meta')]: { name: 'keelson', fastify: '5.x' },
  });
}
