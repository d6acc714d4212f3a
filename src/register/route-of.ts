import type { IncomingMessage } from 'node:http';

interface Routed {
  readonly baseUrl?: unknown;
  readonly route?: { readonly path?: unknown } | null | undefined;
}

/** Most places that one route is mounted at; more are no places, but values of parameters in the place. */
const mostMounts = 10;
/** Most routes whose places are counted. */
const mostRoutes = 500;

/** Express tells where a router was mounted by the path that was asked for, parameters filled in. */
class Mounts {
  private readonly known = new Map<string, Set<string>>();

  /** The place if it may be one, else `*`. */
  nameOf(path: string, base: string): string {
    let seen = this.known.get(path);
    if (seen === undefined) {
      if (this.known.size >= mostRoutes) return '*';
      seen = new Set();
      this.known.set(path, seen);
    }
    if (seen.size <= mostMounts) seen.add(base);
    return seen.size > mostMounts ? '*' : base;
  }
}

const mounts = new Mounts();

/**
 * The template that Express has found for a request; it leaves it on the request itself. A route that is given as an
 * expression or a list is none that could be a name.
 */
export function expressRoute(req: IncomingMessage): string | undefined {
  const { baseUrl, route } = req as Routed;
  const path = route?.path;
  if (typeof path !== 'string') return undefined;
  const place = typeof baseUrl === 'string' && baseUrl !== '' ? mounts.nameOf(path, baseUrl) : '';
  const whole = path === '/' && place !== '' ? place : place + path;
  return whole.startsWith('/') || whole.startsWith('*') ? whole : `/${whole}`;
}
