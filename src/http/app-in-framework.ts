import { inNameOf } from '../core/in-name-of.js';
import type { HttpListener } from './listener.js';
import type { HttpHandler } from './serve-handler.js';

/** What of an app an adapter needs. */
interface ListenerMaker<Options> {
  listener(handler: HttpHandler, options?: Options): HttpListener;
}

/**
 * Makes listeners for an adapter, in whose name they complain of options.
 *
 * @param owner - the adapter: `governExpress`
 * @throws TypeError for what is no app
 */
export function listenerOfApp<Options>(
  owner: string,
  app: ListenerMaker<Options>,
): ListenerMaker<Options>['listener'] {
  if (typeof app?.listener !== 'function')
    throw new TypeError(
      `${owner}: the first argument must be an app, as createApp() makes it, got ${typeof app}`,
    );
  return (handler, options) => inNameOf({ 'app.listener': owner }, () => app.listener(handler, options));
}
