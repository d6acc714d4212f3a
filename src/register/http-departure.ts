import type { ClientRequest } from 'node:http';
import type { Attributes } from '@opentelemetry/api';
import type { Carrier } from '../core/carrier.js';
import { methodAttributes, methodOf } from '../telemetry/http-method.js';
import { redactSignatures } from '../telemetry/http-url.js';
import { clientRequestHeaders } from './client-request-headers.js';
import type { Origin, Origins } from './origin.js';
import type { Departure } from './sent-request.js';

/** A host as it stands in a URL. */
const bracketed = (host: string): string =>
  host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;

/** The port as it was given: a request itself does not tell. */
function portGiven(args: readonly unknown[]): string {
  for (const given of args) {
    const place = typeof given === 'string' && URL.canParse(given) ? new URL(given) : given;
    const { port } = (typeof place === 'object' && place !== null ? place : {}) as {
      readonly port?: unknown;
    };
    if (port !== undefined && port !== null && port !== '') return `:${String(port)}`;
  }
  return '';
}

/** What a proxy is asked for names its host by itself. */
const absolute = /^https?:\/\/[^/?#]+/i;

/** Where Node sends a request. Its port stands in the header `Host`, unless a user has set that. */
function placeOf(
  { req, args }: { readonly req: ClientRequest; readonly args: readonly unknown[] },
  headers: Carrier,
  origins: Origins,
): Origin {
  const [target] = absolute.exec(req.path) ?? [];
  const meant = target === undefined ? undefined : origins.of(target);
  if (meant !== undefined) return meant;
  const host = bracketed(req.host);
  const named = headers.get('host');
  const authority = named?.startsWith(host) ? named : host + portGiven(args);
  const text = `${req.protocol}//${authority}`;
  const port = req.protocol === 'https:' ? 443 : 80;
  return origins.of(text) ?? { text, host: req.host, port, inner: origins.isInner(req.host) };
}

/** A request of `node:http` that was just made. */
export class HttpDeparture implements Departure {
  readonly measuredBy = 'client';
  readonly headers: Carrier;
  readonly labels: Attributes;
  readonly inner: boolean;
  private readonly origin: Origin;

  constructor(
    private readonly req: ClientRequest,
    args: readonly unknown[],
    origins: Origins,
  ) {
    this.headers = clientRequestHeaders(req);
    this.origin = placeOf({ req, args }, this.headers, origins);
    this.inner = this.origin.inner;
    this.labels = {
      'http.request.method': methodOf(req.method),
      'server.address': this.origin.host,
      'server.port': this.origin.port,
    };
  }

  get name(): string {
    const method = methodOf(this.req.method);
    return method === '_OTHER' ? 'HTTP' : method;
  }

  describe(): Attributes {
    const { req, origin } = this;
    const url = absolute.test(req.path) ? req.path : `${origin.text}${req.path}`;
    return { ...methodAttributes(req.method), 'url.full': redactSignatures(url) };
  }
}
