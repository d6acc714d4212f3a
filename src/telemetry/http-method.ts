import type { Attributes } from '@opentelemetry/api';
import type { Call } from '../core/call.js';

/** RFC 9110, RFC 5789 and QUERY. Whatever else a peer makes up is `_OTHER`, or it would be a series of its own. */
const known: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  'PATCH',
  'QUERY',
]);

/** The method as an attribute of low cardinality. */
export function methodOf(method: string | undefined): string {
  if (method === undefined) return 'GET';
  if (known.has(method)) return method;
  const upper = method.toUpperCase();
  return known.has(upper) ? upper : '_OTHER';
}

/** The method, and how it was written if that differs. */
export function methodAttributes(method: string | undefined): Attributes {
  const name = methodOf(method);
  return method === undefined || name === method
    ? { 'http.request.method': name }
    : { 'http.request.method': name, 'http.request.method_original': method };
}

/** The template in an operation such as `GET /users/:id`; an operation that is the method alone has none. */
export function templateOf({ operation }: Pick<Call, 'operation'>): string | undefined {
  const slash = operation.indexOf('/');
  return slash < 0 || (slash > 0 && operation.charCodeAt(slash - 1) !== 32)
    ? undefined
    : operation.slice(slash);
}

/** `GET /users/:id`, else the method; a method that nobody knows is called `HTTP`. */
export function httpSpanName(method: string | undefined, call: Call): string {
  const name = methodOf(method);
  const shown = name === '_OTHER' ? 'HTTP' : name;
  const template = templateOf(call);
  return template === undefined ? shown : `${shown} ${template}`;
}

/** Bounds that the semantic conventions advise for durations of HTTP calls; seconds. */
export const durationBuckets = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
] as const;
