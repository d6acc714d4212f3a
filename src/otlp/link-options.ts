import type { Clock } from '../core/clock.js';
import { aboutOption } from '../core/in-name-of.js';
import { checkChoice, checkNumber, wrongKind } from '../core/options.js';
import { advisedSender } from './advised-sender.js';
import type { EncodingName } from './encoding.js';
import type { GrpcLike } from './grpc-like.js';
import { grpcSender } from './grpc-sender.js';
import { checkedAtCall, checkHeaders, type HeaderSource } from './header-source.js';
import { httpSender } from './http-sender.js';
import type { Sender, Signal } from './sender.js';

/** How data gets to a collector. */
export type OtlpProtocol = 'http/protobuf' | 'http/json' | 'grpc';

/** Options of the way to a collector, the same for spans and metrics. */
export interface LinkOptions {
  /**
   * Where the collector is: base URL, to which HTTP adds `/v1/traces` or `/v1/metrics`. For gRPC `http:` means without TLS,
   * `https:` with it.
   *
   * @defaultValue `undefined`: `http://localhost:4318`, for gRPC `http://localhost:4317`
   */
  readonly endpoint?: string | undefined;
  /**
   * The whole URL, used as it is, in place of `endpoint`. No effect on gRPC, whose path is fixed.
   *
   * @defaultValue `undefined`
   */
  readonly url?: string | undefined;
  /**
   * `http/protobuf`, which every collector takes; `http/json`, for what reads nothing else; `grpc`, which needs
   * `@grpc/grpc-js`.
   *
   * @defaultValue `'http/protobuf'`
   */
  readonly protocol?: OtlpProtocol | undefined;
  /**
   * Sent with each request, such as an API key; or a function that gives them, asked before each request. Names of letters,
   * digits and `-`, values of ASCII: others are refused, and of a function told of once, and nothing is sent with them.
   *
   * @defaultValue `{}`
   */
  readonly headers?: HeaderSource | undefined;
  /**
   * `gzip` makes an eighth of it, on the thread pool; `none` for a collector on this machine.
   *
   * @defaultValue `'gzip'`
   */
  readonly compression?: 'gzip' | 'none' | undefined;
  /**
   * How long an answer may take; milliseconds, above 0. What takes longer is tried again.
   *
   * @defaultValue `10000`
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Requests under way at the same time; a whole number, 1 or more. A larger value gets more through to a collector that is
   * far away.
   *
   * @defaultValue `4`
   */
  readonly concurrency?: number | undefined;
  /**
   * `ca`, `cert`, `key` and whatever else `node:tls` takes; of gRPC those three. No effect without TLS.
   *
   * @defaultValue `undefined`
   */
  readonly tls?: object | undefined;
  /**
   * The module `@grpc/grpc-js`, where another copy than the one found from here is to be used.
   *
   * @defaultValue `undefined`
   */
  readonly grpc?: GrpcLike | undefined;
}

/** Defaults of {@link LinkOptions}. */
export const linkDefaults = {
  endpoint: undefined as string | undefined,
  url: undefined as string | undefined,
  protocol: 'http/protobuf' as OtlpProtocol,
  headers: {} as HeaderSource,
  compression: 'gzip' as 'gzip' | 'none',
  timeoutMs: 10_000,
  concurrency: 4,
  tls: undefined as object | undefined,
  grpc: undefined as GrpcLike | undefined,
};

/** {@link LinkOptions}, checked. */
export type LinkSettings = typeof linkDefaults;

/** Ranges of the numbers. */
export const linkBounds = {
  timeoutMs: { above: 0 },
  concurrency: { min: 1, max: 1_000, integer: true },
} as const;

const paths: Readonly<Record<Signal, string>> = { traces: '/v1/traces', metrics: '/v1/metrics' };
const schemes = { http: ['http:', 'https:'], grpc: ['http:', 'https:', 'grpc:', 'grpcs:'] } as const;

function parsed(field: string, value: unknown, allowed: readonly string[]): URL {
  if (typeof value !== 'string') throw wrongKind(field, `a URL, such as "http://localhost:4318"`, value);
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !allowed.includes(url.protocol))
    throw aboutOption(
      new RangeError(`${field} must be a URL with ${allowed.join(' or ')}, got ${JSON.stringify(value)}`),
    );
  return url;
}

/** The URL of a signal. Source: OpenTelemetry, "Protocol Exporter", "Endpoint URLs for OTLP/HTTP". */
export function signalUrl(owner: string, { protocol, endpoint, url }: LinkSettings, signal: Signal): string {
  if (protocol === 'grpc')
    return parsed(`${owner}.endpoint`, endpoint ?? 'http://localhost:4317', schemes.grpc).href;
  if (url !== undefined) return parsed(`${owner}.url`, url, schemes.http).href;
  const base = parsed(`${owner}.endpoint`, endpoint ?? 'http://localhost:4318', schemes.http);
  base.pathname = base.pathname.replace(/\/+$/, '') + paths[signal];
  return base.href;
}

/** Checks what {@link linkBounds} does not. @throws TypeError or RangeError */
export function checkLink(owner: string, settings: LinkSettings): void {
  checkChoice(`${owner}.protocol`, settings.protocol, ['http/protobuf', 'http/json', 'grpc']);
  checkChoice(`${owner}.compression`, settings.compression, ['gzip', 'none']);
  checkNumber(`${owner}.timeoutMs`, settings.timeoutMs, linkBounds.timeoutMs);
  const { headers } = settings;
  if (typeof headers !== 'function') checkHeaders(`${owner}.headers`, headers);
}

/** The form in which a protocol carries data. */
export function encodingNameOf(protocol: OtlpProtocol): EncodingName {
  return protocol === 'http/json' ? 'json' : 'protobuf';
}

/** Where a signal goes, and who hears what is said there. */
export interface Destination {
  readonly url: string;
  readonly signal: Signal;
  readonly clock: Clock;
  readonly warn: (message: string) => void;
  readonly warnIntervalMs: number;
}

const carried: Readonly<Record<Signal, string>> = { traces: 'spans', metrics: 'points' };

/** Makes what sends. */
export function senderTo(destination: Destination, settings: LinkSettings): Sender {
  const { url, signal, clock, warn, warnIntervalMs } = destination;
  const { protocol, compression, concurrency, tls, grpc } = settings;
  const headers =
    typeof settings.headers === 'function'
      ? checkedAtCall(settings.headers, carried[signal], warn)
      : settings.headers;
  const gzip = compression === 'gzip';
  const sender =
    protocol === 'grpc'
      ? grpcSender({ url, signal, headers, gzip, tls, grpc })
      : httpSender({ url, headers, gzip, concurrency, tls, clock });
  return advisedSender(sender, { what: carried[signal], clock, intervalMs: warnIntervalMs, warn });
}
