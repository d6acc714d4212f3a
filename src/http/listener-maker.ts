import { inNameOf } from '../core/in-name-of.js';
import type { HttpListener } from './listener.js';
import type { HttpHandler } from './serve-handler.js';

/** What of an app an adapter needs. */
interface ListenerSource<Options> {
  listener(handler: HttpHandler, options?: Options): HttpListener;
}

/**
 * Gives an adapter what makes its listeners, which complains of options in the adapter's name.
 *
 * @param owner - the adapter: `governExpress`
 * @throws TypeError for what is no app
 */
export function listenerMaker<Options>(
  owner: string,
  app: ListenerSource<Options>,
): ListenerSource<Options>['listener'] {
  if (typeof app?.listener !== 'function')
    throw new TypeError(
      `${owner}: the first argument must be an app, as createApp() makes it, got ${typeof app}`,
    );
  return (handler, options) => inNameOf({ 'app.listener': owner }, () => app.listener(handler, options));
}
