import type { Balancer } from '../balancer/balancer.js';
import type { Clock } from '../core/clock.js';
import type { Bus } from '../core/events.js';
import type { Random } from '../core/random.js';
import type { Resolver } from '../discovery/resolver.js';
import type { GovernedFetch } from '../http/call-options.js';
import { type FetchWireOptions, fetchWire } from '../http/fetch-wire.js';
import type { HttpRequest } from '../http/request.js';
import { type ToFetchOptions, toFetch } from '../http/to-fetch.js';
import { httpClientSemantics } from '../telemetry/http-client-semantics.js';
import type { ClientPolicy } from './client-policy.js';
import { type ClientStack, clientStack } from './client-stack.js';

/** Options of {@link App.fetch}: how calls are governed, how they are carried, how they are named. */
export interface FetchClientOptions
  extends ClientPolicy<HttpRequest, Response>,
    Omit<FetchWireOptions, 'clock'>,
    Pick<ToFetchOptions, 'routes'> {
  /**
   * Chooses endpoints. It belongs to this client alone.
   *
   * @defaultValue least load by what servers report, by response time where they report nothing; slow start, outlier ejection
   */
  readonly balancer?: Balancer | undefined;
}

interface Shared {
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

/** Joins the HTTP wire and a client stack. */
export function fetchClient(
  service: string,
  resolver: Resolver,
  options: FetchClientOptions & Shared,
): FetchClient {
  const { fetch, undici, pool, tls, bodyIdleTimeoutMs, routes, ...policy } = options;
  const wire = fetchWire({ fetch, undici, pool, tls, bodyIdleTimeoutMs, clock: options.clock });
  const stack = clientStack({ ...policy, service, resolver, wire, semantics: httpClientSemantics });
  return { fetch: toFetch(stack.handler, { service, routes, fetch }), stack };
}
