import { aboutOption } from '../core/in-name-of.js';
/** The template that a request matches, with its method in front: `GET /users/:id`. */
export type RouteTable = (method: string, path: string) => string | undefined;

interface Route {
  readonly order: number;
  /** `undefined` for any method. */
  readonly method: string | undefined;
  readonly template: string;
  /** What it names, by method: the same text each time, or whoever keeps something by it would have to hash it anew. */
  readonly names: Map<string, string>;
}

/** Methods come from outside. */
const mostNames = 40;

function nameOf({ names, template }: Route, method: string): string {
  let name = names.get(method);
  if (name === undefined) {
    name = `${method} ${template}`;
    if (names.size < mostNames) names.set(method, name);
  }
  return name;
}

/** One segment of the templates that share what stands before it. */
interface Node {
  readonly literals: Map<string, Node>;
  parameter: Node | undefined;
  /** Templates that end here. */
  readonly ends: Route[];
  /** Templates that end here with a wildcard: whatever follows. */
  readonly rests: Route[];
}

const node = (): Node => ({ literals: new Map(), parameter: undefined, ends: [], rests: [] });

const shape = /^(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+) )?(\/.*)$/;
const parameterName = /^:[A-Za-z_][A-Za-z0-9_]*$/;

function refuse(text: unknown, why: string): never {
  throw aboutOption(
    new TypeError(
      `routes: "${String(text)}" ${why}; a route is like "/users/:id", "/files/*" or "GET /users"`,
    ),
  );
}

function add(root: Node, text: string, order: number): void {
  const [, method, template] = typeof text === 'string' ? (shape.exec(text) ?? []) : [];
  if (template === undefined) refuse(text, 'must be a path, with a method before it or not');
  const route: Route = { order, method: method?.toUpperCase(), template, names: new Map() };
  const segments = segmentsOf(template);
  let at = root;
  for (const [index, segment] of segments.entries()) {
    if (segment === '*') {
      if (index < segments.length - 1) refuse(text, 'has a * that is not its last segment');
      at.rests.push(route);
      return;
    }
    if (/[*?#()[\]{}\\]/.test(segment)) refuse(text, `has a segment "${segment}" that is no literal`);
    if (segment.startsWith(':')) {
      if (!parameterName.test(segment)) refuse(text, `has a segment "${segment}" that names nothing`);
      at.parameter ??= node();
      at = at.parameter;
    } else {
      const literal = decoded(segment);
      const next = at.literals.get(literal) ?? node();
      at.literals.set(literal, next);
      at = next;
    }
  }
  at.ends.push(route);
}

/** `/a/b/` and `/a/b` are the same. */
function segmentsOf(path: string): string[] {
  const end = path.length > 1 && path.endsWith('/') ? path.length - 1 : path.length;
  return end <= 1 ? [] : path.slice(1, end).split('/');
}

/** An escape that is none stands for itself: nobody's path may make a call fail here. */
function decoded(segment: string): string {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** One request on its way down the tree. A node has one depth, so it is looked at once, however the templates overlap. */
class Search {
  found: Route | undefined = undefined;
  constructor(
    private readonly method: string,
    private readonly path: string,
    private readonly end: number,
  ) {}

  /** @param from - where the next segment begins; beyond the end when there is none */
  visit(at: Node, from: number): void {
    if (from > this.end) {
      this.consider(at.ends);
      return;
    }
    this.consider(at.rests);
    const slash = this.path.indexOf('/', from);
    const stop = slash < 0 || slash > this.end ? this.end : slash;
    if (at.literals.size > 0) {
      const next = at.literals.get(decoded(this.path.slice(from, stop)));
      if (next !== undefined) this.visit(next, stop + 1);
    }
    if (at.parameter !== undefined && stop > from) this.visit(at.parameter, stop + 1);
  }

  private consider(routes: readonly Route[]): void {
    for (const route of routes) {
      if (this.found !== undefined && this.found.order < route.order) return;
      if (route.method === undefined || route.method === this.method) {
        this.found = route;
        return;
      }
    }
  }
}

/**
 * What becomes another path when a URL is made of it. Whoever routes by that would meet the name of what was asked for
 * under the path of something else, and with the name what holds for it: `/public/../admin` is not public.
 */
const unsettled = /\\|\/(?:\.|%2e){1,2}(?=\/|$)/i;

/** Where the path ends: before query and fragment, and before one closing slash. */
function endOf(path: string): number {
  let end = path.length;
  for (const mark of ['?', '#']) {
    const at = path.indexOf(mark);
    if (at >= 0 && at < end) end = at;
  }
  return end > 1 && path.charCodeAt(end - 1) === 47 ? end - 1 : end;
}

/**
 * Prepares route templates: `/users/:id`, `/files/*` (one segment or more), each with a method before it or for any.
 * The first that matches wins. A path with dot segments or backslashes matches none. The work is bounded by the length of
 * the path and by the templates, whatever the path is.
 *
 * @param routes - templates in order
 * @throws TypeError for one that cannot be understood
 */
export function routeTable(routes: readonly string[]): RouteTable {
  if (!Array.isArray(routes)) refuse(routes, 'is no list');
  if (routes.length === 0) return () => undefined;
  const root = node();
  for (const [order, text] of routes.entries()) add(root, text, order);
  return (method, path) => {
    if (path.charCodeAt(0) !== 47) return undefined;
    const end = endOf(path);
    const search = new Search(method, path, end);
    // The root alone has no segment at all.
    search.visit(root, end <= 1 ? end + 1 : 1);
    if (search.found === undefined || unsettled.test(path.slice(0, end))) return undefined;
    return nameOf(search.found, method);
  };
}
