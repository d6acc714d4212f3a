import type { Endpoint } from '../core/endpoint.js';

/** Query parameters that carry signatures or credentials; the list of the semantic conventions, and X-Amz's. */
const secrets =
  /((?:^|[?&])(?:AWSAccessKeyId|Signature|sig|X-Goog-Signature|X-Amz-(?:Signature|Credential|Security-Token))=)[^&#]*/g;

/** A URL or a query without what would let a reader of traces in. */
export function redactSignatures(text: string): string {
  return text.includes('=') ? text.replace(secrets, '$1REDACTED') : text;
}

/** The address of an endpoint, as spans tell it. */
export interface EndpointAddress {
  /** Without user and password. */
  readonly origin: string;
  readonly host: string;
  readonly port: number;
}

function parse(url: string): EndpointAddress | undefined {
  if (!URL.canParse(url)) return undefined;
  const { origin, protocol, hostname, port } = new URL(url);
  const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
  return { origin, host, port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port) };
}

const known = new WeakMap<Endpoint, { readonly address: EndpointAddress | undefined }>();

/** Parsed once for each endpoint: taking a URL apart costs more than all else that a span is told. */
export function addressOf(endpoint: Endpoint): EndpointAddress | undefined {
  let entry = known.get(endpoint);
  if (entry === undefined) {
    entry = { address: parse(endpoint.url) };
    known.set(endpoint, entry);
  }
  return entry.address;
}
