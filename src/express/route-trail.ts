import type { IncomingMessage } from 'node:http';
import { mountTemplate } from './mount-template.js';

/** What Express keeps on a request while it routes it. */
interface RoutedRequest {
  baseUrl?: string | undefined;
  route?: unknown;
  params?: unknown;
}

/** A router that a request has entered. */
interface Mount {
  /** The part of the path that led here, as it came. */
  readonly path: string;
  readonly template: string;
  readonly outer: Mount | undefined;
}

/** Most places of one route that are told apart; a router that is mounted by a regular expression has any number. */
const mostBases = 20;
const basesOf = new WeakMap<object, Map<string, string>>();

/**
 * Keeps the names of a route few: its router may be mounted in several places, but not in as many as there are paths.
 * Express takes `/API` for `/api`; whoever writes it so must not make a name of it.
 */
function bounded(route: unknown, base: string): string {
  if (typeof route !== 'object' || route === null) return base;
  let bases = basesOf.get(route);
  if (bases === undefined) {
    bases = new Map();
    basesOf.set(route, bases);
  }
  const key = base.toLowerCase();
  const known = bases.get(key);
  if (known !== undefined) return known;
  if (bases.size >= mostBases) return '/*';
  bases.set(key, base);
  return base;
}

function isInside(path: string, mount: Mount): boolean {
  return path.length > mount.path.length && path.startsWith(mount.path);
}

/** `/users/:id`, `/a,/b`, `/^\/\d+$/`: whatever the route was made with, which is the same for all its requests. */
function patternOf(route: unknown): string | undefined {
  const path = (route as { path?: unknown } | null | undefined)?.path;
  return path === undefined ? undefined : String(path);
}

function join(base: string, pattern: string): string {
  const path = base + (pattern.startsWith('/') ? pattern : `/${pattern}`);
  return pattern === '/' && base !== '' ? base : path;
}

/**
 * The way of one request through the routers. The last route that it met is the one that answers it; where that one is
 * mounted is known only at that moment, for a router that is left takes its traces with it.
 */
export class RouteTrail {
  private mount: Mount | undefined = undefined;
  private met: unknown = undefined;
  private base = '';

  constructor(private readonly req: RoutedRequest) {
    this.met = req.route;
    this.baseUrl = req.baseUrl ?? '';
  }

  /** The template of the request, as far as it is known. */
  get template(): string | undefined {
    const pattern = patternOf(this.met);
    return pattern === undefined ? undefined : join(this.base, pattern);
  }

  get baseUrl(): string {
    return this.mount?.path ?? '';
  }
  set baseUrl(path: string) {
    let outer = this.mount;
    while (outer !== undefined && outer.path !== path && !isInside(path, outer)) outer = outer.outer;
    this.mount = outer?.path === path || path === '' ? outer : this.inside(outer, path);
  }

  get route(): unknown {
    return this.met;
  }
  set route(route: unknown) {
    this.met = route;
    this.base = this.mount === undefined ? '' : bounded(route, this.mount.template);
  }

  private inside(outer: Mount | undefined, path: string): Mount {
    const added = path.slice(outer?.path.length ?? 0);
    // Express has just matched the router, and says by which parameters.
    return { path, template: (outer?.template ?? '') + mountTemplate(added, this.req.params), outer };
  }
}

/**
 * Follows a request from here on. `req.baseUrl` and `req.route` go on to be what Express makes them; nobody else tells
 * when they change, and at the end of a call that failed `baseUrl` is no longer that of the route.
 */
export function followRoute(req: IncomingMessage): RouteTrail {
  const trail = new RouteTrail(req as RoutedRequest);
  Object.defineProperties(req, {
    baseUrl: {
      configurable: true,
      enumerable: true,
      get: () => trail.baseUrl,
      set: (path: string) => {
        trail.baseUrl = path;
      },
    },
    route: {
      configurable: true,
      enumerable: true,
      get: () => trail.route,
      set: (route: unknown) => {
        trail.route = route;
      },
    },
  });
  return trail;
}
