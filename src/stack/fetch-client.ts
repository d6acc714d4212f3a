import type { Balancer } from '../balancer/balancer.js';
import type { Clock } from '../core/clock.js';
import type { Bus } from '../core/events.js';
import type { Random } from '../core/random.js';
import type { Resolver } from '../discovery/resolver.js';
import type { GovernedFetch } from '../http/call-options.js';
import { type FetchWireOptions, fetchWire } from '../http/fetch-wire.js';
import { meantRoutes } from '../http/meant-routes.js';
import type { HttpRequest } from '../http/request.js';
import { type ToFetchOptions, toFetch } from '../http/to-fetch.js';
import { httpClientSemantics } from '../telemetry/http-client-semantics.js';
import { type ClientPolicy, checkClientOptions } from './client-policy.js';
import { type ClientStack, type ClientStackOptions, clientStack } from './client-stack.js';

/** Options of {@link App.fetch}: how calls are governed, how they are carried, how they are named. */
export interface FetchClientOptions
  extends ClientPolicy<HttpRequest, Response>,
    Omit<FetchWireOptions, 'clock'>,
    Pick<ToFetchOptions, 'routes'> {
  /**
   * Chooses endpoints. It belongs to this client alone.
   *
   * @defaultValue least backlog by what servers report, by latency where they report nothing or their calls wait for something else than the thread; slow start, outlier ejection
   */
  readonly balancer?: Balancer | undefined;
}

interface Shared extends Pick<ClientStackOptions<HttpRequest, Response>, 'edges' | 'sizes' | 'propagation'> {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  /** Whose client it is: told to the callee. */
  readonly caller: string;
}

/** A governed fetch, and the stack behind it. */
export interface FetchClient {
  /** With the signature of `fetch`. */
  readonly fetch: GovernedFetch;
  /** What stands behind it. */
  readonly stack: ClientStack<HttpRequest, Response>;
}

/** Options of {@link App.fetch} beside those of all clients. */
const fetchOptions = {
  fetch: undefined,
  undici: undefined,
  pool: undefined,
  tls: undefined,
  bodyIdleTimeoutMs: undefined,
  routes: undefined,
};

/** @throws TypeError or RangeError that names the option as one of {@link App.fetch} */
export function checkFetchOptions(options: FetchClientOptions | undefined): void {
  checkClientOptions('app.fetch', options ?? {}, fetchOptions);
}

/** Joins the HTTP wire and a client stack. */
export function fetchClient(
  service: string,
  resolver: Resolver,
  options: FetchClientOptions & Shared,
): FetchClient {
  const { fetch, undici, pool, tls, bodyIdleTimeoutMs, ...others } = options;
  const { routes: own, ...policy } = others;
  const routes = meantRoutes('tied.routes', own, policy.tied ? policy.tied.routes : undefined);
  const wire = fetchWire({ fetch, undici, pool, tls, bodyIdleTimeoutMs, clock: options.clock });
  const stack = clientStack({ ...policy, service, resolver, wire, semantics: httpClientSemantics });
  return { fetch: toFetch(stack.handler, { service, routes, fetch }), stack };
}
