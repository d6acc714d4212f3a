import type { Attributes } from '@opentelemetry/api';
import type { Attempt, Call } from '../core/call.js';
import { durationBuckets, httpSpanName, methodAttributes, methodOf, templateOf } from './http-method.js';
import { addressOf, redactSignatures } from './http-url.js';
import { httpInstrumented } from './instrumented.js';
import type { Semantics } from './semantics.js';

/** What is looked at in a client's request; that of keelson's HTTP wire fits, and any other of this shape. */
export interface HttpClientRequest {
  /** As it goes out: `GET`. */
  readonly method?: string | undefined;
  /** Path and query; the endpoint tells the rest. */
  readonly path?: string | undefined;
}

/** What is looked at in a client's response. */
export interface HttpClientResponse {
  /** Status code. */
  readonly status: number;
}

function writeAddress(into: Attributes, { endpoint }: Attempt, path: string | undefined): void {
  const address = endpoint && addressOf(endpoint);
  if (address === undefined) return;
  into['server.address'] = address.host;
  into['server.port'] = address.port;
  if (path !== undefined) into['url.full'] = redactSignatures(`${address.origin}${path}`);
}

function activeAttributes(request: HttpClientRequest, call: Call): Attributes {
  return { 'http.request.method': methodOf(request.method), 'server.address': call.service };
}

/**
 * The semantic conventions for HTTP clients, stable since 1.23: names of spans, attributes, measurements.
 *
 * In measurements `server.address` is the logical service, not one of its many addresses, and there is no `server.port`:
 * with the addresses of instances as attributes each deployment would begin new series.
 */
export const httpClientSemantics: Semantics<HttpClientRequest, HttpClientResponse> = {
  spanName: (request, call) => httpSpanName(request.method, call),
  requestAttributes: (request, call) => {
    const attributes = methodAttributes(request.method);
    writeAddress(attributes, call.attempt, request.path);
    const template = templateOf(call);
    if (template !== undefined) attributes['url.template'] = template;
    const { number } = call.attempt;
    if (number > 1) attributes['http.request.resend_count'] = number - 1;
    return attributes;
  },
  responseAttributes: (response) => ({ 'http.response.status_code': response.status }),
  errorType: ({ status }) => (status >= 400 ? String(status) : undefined),
  activeAttributes,
  durationAttributes: (request, response, call) => {
    const attributes = activeAttributes(request, call);
    const template = templateOf(call);
    if (template !== undefined) attributes['url.template'] = template;
    if (response !== undefined) attributes['http.response.status_code'] = response.status;
    return attributes;
  },
  duration: {
    name: 'http.client.request.duration',
    description: 'Duration of HTTP client requests.',
    unit: 's',
    buckets: durationBuckets,
  },
  active: {
    name: 'http.client.active_requests',
    description: 'Number of active HTTP requests.',
    unit: '{request}',
  },
  instrumented: httpInstrumented,
};
