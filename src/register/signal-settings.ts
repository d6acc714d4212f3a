import { linkBounds } from '../otlp/link-options.js';
import type { EnvironmentReader } from './environment-reader.js';

/** Where signals can be sent. */
export type Protocol = 'http/protobuf' | 'http/json' | 'grpc';

/** How one signal is sent. */
export interface SignalSettings {
  /** The URL as it is, path included; for gRPC without a path. */
  readonly url: string;
  readonly protocol: Protocol;
  readonly headers: Readonly<Record<string, string>>;
  readonly compression: 'gzip' | 'none' | undefined;
  readonly timeoutMs: number | undefined;
  /** Files of certificates, for https. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

const protocols: readonly Protocol[] = ['http/protobuf', 'http/json', 'grpc'];

/** Reads what one signal has of its own, else what all have. */
export class SignalReader {
  constructor(
    private readonly from: EnvironmentReader,
    private readonly signal: 'TRACES' | 'METRICS',
  ) {}

  read(): SignalSettings {
    const { from } = this;
    const protocol = this.either((name) => from.choice(name, protocols), 'PROTOCOL') ?? 'http/protobuf';
    return {
      protocol,
      url: this.url(protocol),
      headers: { ...from.headers('OTEL_EXPORTER_OTLP_HEADERS'), ...from.headers(this.own('HEADERS')) },
      compression: this.either((name) => from.choice(name, ['gzip', 'none'] as const), 'COMPRESSION'),
      timeoutMs: this.either((name) => from.number(name, linkBounds.timeoutMs), 'TIMEOUT'),
      ca: this.either((name) => from.text(name), 'CERTIFICATE'),
      cert: this.either((name) => from.text(name), 'CLIENT_CERTIFICATE'),
      key: this.either((name) => from.text(name), 'CLIENT_KEY'),
    };
  }

  private url(protocol: Protocol): string {
    const own = this.address(this.own('ENDPOINT'), protocol);
    if (own !== undefined) return own;
    const base = this.address('OTEL_EXPORTER_OTLP_ENDPOINT', protocol);
    if (protocol === 'grpc') return base ?? 'http://localhost:4317';
    const url = new URL(base ?? 'http://localhost:4318');
    url.pathname = `${url.pathname.replace(/\/+$/, '')}/v1/${this.signal.toLowerCase()}`;
    return url.href;
  }

  /** For gRPC, and for nothing else, an address may come without a scheme. */
  private address(name: string, protocol: Protocol): string | undefined {
    const { from } = this;
    const text = from.text(name);
    if (protocol !== 'grpc' || text === undefined || !/^[\w.[\]:-]+:\d+$/.test(text)) return from.url(name);
    const insecure = this.either((one) => from.flag(one), 'INSECURE') ?? false;
    const url = `${insecure ? 'http' : 'https'}://${text}`;
    return URL.canParse(url) ? url : from.url(name);
  }

  private either<T>(read: (name: string) => T | undefined, what: string): T | undefined {
    return read(this.own(what)) ?? read(`OTEL_EXPORTER_OTLP_${what}`);
  }

  private own(what: string): string {
    return `OTEL_EXPORTER_OTLP_${this.signal}_${what}`;
  }
}
