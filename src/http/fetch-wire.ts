import { type Clock, systemClock } from '../core/clock.js';
import type { Endpoint } from '../core/endpoint.js';
import { aboutOption } from '../core/in-name-of.js';
import { resolveOptions } from '../core/options.js';
import type { Connection, Wire } from '../core/wire.js';
import { type Connecting, connectTo } from './connect-to.js';
import {
  globalDispatcher,
  noSockets,
  ownSockets,
  plainAgentClass,
  platformSockets,
  type Sockets,
  type UndiciLike,
} from './dispatcher.js';
import { agentOptions, type PoolOptions, type TlsOptions } from './pool.js';
import { httpProtocol } from './protocol.js';
import type { HttpRequest } from './request.js';

/** Options of {@link fetchWire}. */
export interface FetchWireOptions {
  /**
   * What sends the requests. It is used as it is: its connections are its own, so `pool` and `tls` cannot be given with
   * it, and `https` to an IP address is not refused.
   *
   * @defaultValue `undefined`, that is the `fetch` of the platform, looked up for each request
   */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /**
   * The `undici` package, when its fetch and its connections are to be used instead of those built into the platform: for
   * a newer version, or where the platform has none.
   *
   * @defaultValue `undefined`
   */
  readonly undici?: UndiciLike | undefined;
  /**
   * Connections to each endpoint. No effect while the platform's dispatcher is replaced (`setGlobalDispatcher`, a proxy
   * from the environment): then that one's connections are used.
   *
   * @defaultValue `undefined`, that is the defaults of {@link PoolOptions}
   */
  readonly pool?: PoolOptions | undefined;
  /**
   * How to speak TLS with instances. With it connections are always our own.
   *
   * @defaultValue `undefined`
   */
  readonly tls?: TlsOptions | undefined;
  /**
   * How long a response body may be silent while it is read, in milliseconds; above 0. A larger value waits longer for a
   * server that has gone without a word. With it every body goes through a relay, which costs some microseconds a chunk.
   *
   * @defaultValue `undefined`, that is without limit
   */
  readonly bodyIdleTimeoutMs?: number | undefined;
  /**
   * Tells the time for `bodyIdleTimeoutMs`.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
}

/** Defaults of {@link FetchWireOptions}. */
export const fetchWireDefaults = {
  fetch: undefined,
  undici: undefined,
  pool: undefined,
  tls: undefined,
  bodyIdleTimeoutMs: undefined,
  clock: systemClock,
} as const;

type Settings = { readonly [Field in keyof FetchWireOptions]-?: FetchWireOptions[Field] } & {
  readonly clock: Clock;
};

/** How connections are made, decided once. */
function socketsOf(settings: Settings): () => Sockets {
  const { fetch, undici, pool, tls } = settings;
  const options = agentOptions(pool, tls);
  if (fetch !== undefined) {
    if (undici ?? pool ?? tls)
      throw aboutOption(
        new TypeError(
          'fetchWire: undici, pool and tls have no effect on a fetch of your own; give it what it needs',
        ),
      );
    return () => noSockets;
  }
  if (undici !== undefined) {
    const Agent = undici.Agent as Parameters<typeof ownSockets>[0];
    return () => ownSockets(Agent, options);
  }
  if (tls === undefined && pool === undefined) return () => platformSockets(options);
  const Agent = plainAgentClass(globalDispatcher());
  if (Agent !== undefined)
    return tls === undefined ? () => platformSockets(options) : () => ownSockets(Agent, options);
  // Without TLS nothing is at stake: a mock or a proxy has connections of its own.
  if (tls === undefined && globalDispatcher() !== undefined) return () => platformSockets(options);
  throw aboutOption(
    new TypeError(
      `fetchWire.${tls === undefined ? 'pool' : 'tls'} needs connections of its own, and the platform's cannot be used (its dispatcher is replaced or unknown); give the undici package as fetchWire.undici`,
    ),
  );
}

/**
 * Carries calls by `fetch`, HTTP/1.1 and whatever else that speaks.
 *
 * Each endpoint has connections of its own (an `Agent` of undici, some kilobytes), so that limits count per endpoint and
 * those of an endpoint that leaves can be closed.
 *
 * @throws TypeError or RangeError for options that are out of range or cannot be met here
 * @example
 * ```ts
 * const wire = fetchWire({ tls: { servername: 'users.internal', ca }, pool: { connectTimeoutMs: 1000 } });
 * ```
 */
export function fetchWire(options: FetchWireOptions = {}): Wire<HttpRequest, Response> {
  const settings = resolveOptions<Settings>('fetchWire', fetchWireDefaults, options, {
    bodyIdleTimeoutMs: { above: 0 },
  });
  const { fetch, undici, bodyIdleTimeoutMs: timeoutMs, clock } = settings;
  for (const [name, value] of Object.entries({ fetch, 'undici.fetch': undici ? undici.fetch : undefined })) {
    if (value !== undefined && typeof value !== 'function')
      throw aboutOption(new TypeError(`fetchWire.${name} must be a function`));
  }
  const sockets = socketsOf(settings);
  const connecting: Connecting = {
    fetch: fetch ?? (undici?.fetch as typeof globalThis.fetch | undefined),
    tls: settings.tls,
    idle: timeoutMs === undefined ? undefined : { timeoutMs, clock },
    sockets,
    anyHost: fetch !== undefined,
    // With one connection a question would wait behind the call that it is about.
    hears: fetch === undefined && (settings.pool?.maxConnections ?? Number.POSITIVE_INFINITY) > 1,
  };
  return {
    protocol: httpProtocol,
    schemes: ['http', 'https'],
    connect: (endpoint) => connectTo(endpoint, connecting),
  };
}

/**
 * Connects one endpoint: {@link fetchWire} for those who have but one.
 *
 * @throws GovernanceError `BAD_ENDPOINT` when it cannot be called as configured
 */
export function connectFetch(
  endpoint: Endpoint,
  options: FetchWireOptions = {},
): Connection<HttpRequest, Response> {
  return fetchWire(options).connect(endpoint);
}
