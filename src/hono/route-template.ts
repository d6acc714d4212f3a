/** A route of Hono that matched; `use` makes such too. */
interface Route {
  readonly method: string;
  readonly path: string;
  readonly handler?: (...given: never[]) => unknown;
}

/** What Hono knows of a request as soon as it has it. */
interface Routed {
  readonly matchedRoutes?: readonly Route[];
  /** Which of them runs. */
  readonly routeIndex?: number;
}

/**
 * `use` and `mount` answer to all methods and, in general, to all that lies under a path. So does `all`; but what takes no
 * `next` is no middleware, and what is behind it must not give its name to what it answers.
 */
function isMiddleware({ method, path, handler }: Route): boolean {
  return method === 'ALL' && path.endsWith('*') && handler?.length !== 1;
}

/** The template of a request: of the route that runs or, while a middleware does, of the next one behind it. */
export function routeTemplate(req: object): string | undefined {
  const { matchedRoutes: routes = [], routeIndex = 0 } = req as Routed;
  for (let at = routeIndex; at < routes.length; at++) {
    const route = routes[at] as Route;
    if (!isMiddleware(route)) return route.path.startsWith('/') ? route.path : `/${route.path}`;
  }
  return undefined;
}
