import { type Bounds, resolveOptions } from '../core/options.js';

/** Options of the connections to one endpoint. */
export interface PoolOptions {
  /**
   * Most connections to one endpoint; a whole number, 1 or more, or `Infinity`. HTTP/1.1 carries one call at a time on
   * each. A smaller value makes calls above it wait for a connection, in no order that a limiter knows of and with only
   * their deadline to end it: to limit calls, use a limiter.
   *
   * @defaultValue `Infinity`
   */
  readonly maxConnections?: number | undefined;
  /**
   * How long connecting may take, TLS included, in milliseconds; above 0. The default outlives one lost packet. A larger
   * value leaves less of a call's time for another endpoint when a host is gone without a word. Resolution is about half
   * a second.
   *
   * @defaultValue `3000`
   */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * How long an idle connection is kept, in milliseconds; above 0. What the server says in `Keep-Alive` goes first. It
   * should be less than the server's own: a call on a connection that the server is closing fails, and is sent again
   * only if it is idempotent. A larger value saves more connecting.
   *
   * @defaultValue `4000`
   */
  readonly keepAliveMs?: number | undefined;
}

/** Defaults of {@link PoolOptions}. */
export const poolDefaults = {
  maxConnections: Number.POSITIVE_INFINITY,
  connectTimeoutMs: 3000,
  keepAliveMs: 4000,
} as const;

/** How to speak TLS with instances, which are addressed by IP and certified by name. */
export interface TlsOptions {
  /**
   * Name that the certificate has to bear, also sent as SNI.
   *
   * @defaultValue the host of the address, if it is no IP
   */
  readonly servername?: string | undefined;
  /**
   * Certificates of the authorities that are trusted, in PEM.
   *
   * @defaultValue those of the platform
   */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
  /**
   * Own certificate, in PEM, for servers that ask for one.
   *
   * @defaultValue none
   */
  readonly cert?: string | Uint8Array | undefined;
  /**
   * Its private key, in PEM.
   *
   * @defaultValue none
   */
  readonly key?: string | Uint8Array | undefined;
}

/** Defaults of {@link TlsOptions}. */
export const tlsDefaults = { servername: undefined, ca: undefined, cert: undefined, key: undefined } as const;

const bounds: Bounds<Record<keyof PoolOptions, number>> = {
  maxConnections: { min: 1, integer: true, infinite: true },
  connectTimeoutMs: { above: 0 },
  keepAliveMs: { above: 0 },
};

type TlsSettings = { readonly [Field in keyof TlsOptions]-?: TlsOptions[Field] };

/**
 * Options for undici's Agent.
 *
 * @throws TypeError or RangeError for options that are out of range
 */
export function agentOptions(
  pool: PoolOptions | undefined,
  tls: TlsOptions | undefined,
): Record<string, unknown> {
  const settings = resolveOptions<Record<keyof PoolOptions, number>>('pool', poolDefaults, pool, bounds);
  const secrets = resolveOptions<TlsSettings>('tls', tlsDefaults, tls);
  const connect: Record<string, unknown> = { timeout: settings.connectTimeoutMs };
  for (const [name, value] of Object.entries(secrets)) if (value !== undefined) connect[name] = value;
  return {
    connect,
    connections: settings.maxConnections === Number.POSITIVE_INFINITY ? null : settings.maxConnections,
    keepAliveTimeout: settings.keepAliveMs,
    // Deadlines and `bodyIdleTimeoutMs` decide how long to wait; undici's own five minutes would cut a longer one short.
    headersTimeout: 0,
    bodyTimeout: 0,
  };
}
