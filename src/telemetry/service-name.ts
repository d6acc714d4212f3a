import type { Call } from '../core/call.js';
import { trustedPeer } from '../core/trust.js';

/**
 * Header that names the service that calls. With it a callee knows each edge of the call graph by itself, where without
 * it the spans of both sides have to be joined first.
 *
 * Source: go-kratos/kratos, `contrib/otel/tracing`.
 */
export const serviceNameHeader = 'x-md-service-name';

const plausible = /^[\w.:/@-]{1,128}$/;

/**
 * The logical name of the service that sent an inbound call, if it said so and its peer is trusted.
 *
 * @param call - a server's call
 */
export function callerOf(call: Call): string | undefined {
  if (call.side !== 'server' || !call.values.get(trustedPeer)) return undefined;
  const name = call.headers.get(serviceNameHeader);
  return name !== undefined && plausible.test(name) ? name : undefined;
}
