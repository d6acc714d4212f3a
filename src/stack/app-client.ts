import { inNameOf } from '../core/in-name-of.js';
import { meantRoutes } from '../http/meant-routes.js';
import type { HttpRequest } from '../http/request.js';
import { type RouteTable, routeTable } from '../http/routes.js';
import type { ClientPolicy } from './client-policy.js';
import type { ClientStack, ClientStackOptions } from './client-stack.js';

/** Options of {@link App.client}: those of a client stack but for what the app itself knows. */
export type AppClientOptions<Req, Res> = Omit<
  ClientStackOptions<Req, Res>,
  'service' | 'resolver' | 'bus' | 'clock' | 'random' | 'edges' | 'propagation'
>;

/** Options of {@link App.httpClient}. */
export interface HttpClientOptions<Req, Res> extends Omit<AppClientOptions<Req, Res>, 'semantics'> {
  /**
   * Route templates by which the client names operations, first match wins: `/users/:id`, `POST /orders`. Those that a
   * policy means by their names, `tied.routes` for one, come behind them. Without a list the client has a way of its own.
   *
   * @defaultValue `undefined`
   */
  readonly routes?: readonly string[] | undefined;
}

/** A client of one service over HTTP. */
export interface HttpClient<Req, Res> extends ClientStack<Req, Res> {
  /** Names operations by the routes it was given and those that its policy means. */
  readonly operationOf: RouteTable;
}

/**
 * How a client of HTTP names operations.
 *
 * @param policy - what its app says of all clients
 * @throws TypeError for a route that is none, and for what could never name an operation
 */
export function operationsOf(
  options: Pick<HttpClientOptions<never, never>, 'routes' | 'tied'>,
  policy: Pick<ClientPolicy<never, never>, 'tied'> = {},
): RouteTable {
  const { routes } = options;
  if (routes === undefined) return routeTable([]);
  const tied = options.tied ?? policy.tied;
  return inNameOf(namesOfClient('app.client', policy, options), () =>
    routeTable(meantRoutes('tied.routes', routes, tied ? tied.routes : undefined)),
  );
}

/** Options of {@link App.client} beside those of all clients. */
export const appClientOptions = {
  wire: undefined,
  semantics: undefined,
  caller: undefined,
  sizes: undefined,
};

/** What the policy of an app says of clients of any wire: all but what looks at messages, which are others there. */
export function forAnyWire<Req, Res>(
  policy: ClientPolicy<HttpRequest, Response> = {},
): ClientPolicy<Req, Res> {
  const { use: _use, useAttempt: _useAttempt, retry, ...rest } = policy;
  if (typeof retry !== 'object') return { ...rest, retry };
  const { when: _when, onRetry: _onRetry, ...tries } = retry;
  return { ...rest, retry: tries };
}

/**
 * What the parts of a client call themselves, and where its user wrote their options.
 *
 * @param owner - what makes the client: `app.fetch`
 * @param policy - what the app says of all clients
 * @param own - what this one was given
 */
export function namesOfClient(
  owner: string,
  policy: object = {},
  own: object = {},
): Readonly<Record<string, string>> {
  const given = own as Readonly<Record<string, unknown>>;
  const inherited = Object.keys(policy).filter((option) => given[option] === undefined);
  const whose = inherited.includes('tied') ? 'createApp.client' : owner;
  return {
    ...Object.fromEntries(
      inherited.map((option) => [`clientStack.${option}`, `createApp.client.${option}`] as const),
    ),
    clientStack: owner,
    fetchWire: owner,
    toFetch: owner,
    pool: `${owner}.pool`,
    tls: `${owner}.tls`,
    routes: `${owner}.routes`,
    'tied.routes': `${whose}.tied.routes`,
  };
}
