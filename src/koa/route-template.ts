/** A path of `@koa/router` that matched: of a route, or of a middleware, which has no methods. */
interface Layer {
  readonly methods?: readonly string[];
  readonly path?: unknown;
}

/** What `@koa/router` and `koa-router` leave on a context. */
interface Routed {
  readonly req: { readonly method?: string | undefined };
  /** All layers whose path matched, whatever their method. */
  readonly matched?: readonly Layer[];
  /** The path of the layer that ran last. */
  readonly _matchedRoute?: unknown;
}

function templateOf(path: unknown): string | undefined {
  if (path === undefined || path === null) return undefined;
  const template = String(path);
  return template.startsWith('/') ? template : `/${template}`;
}

/** The template of a request by its router, once that has matched it: the innermost route for its method. */
export function routeTemplate(ctx: object): string | undefined {
  const { req, matched, _matchedRoute } = ctx as Routed;
  const method = req.method ?? 'GET';
  if (!Array.isArray(matched)) return templateOf(_matchedRoute);
  for (let at = matched.length - 1; at >= 0; at--) {
    const layer = matched[at] as Layer;
    if (layer.methods?.includes(method)) return templateOf(layer.path);
  }
  return undefined;
}
