import diagnosticsChannel from 'node:diagnostics_channel';
import { context } from '@opentelemetry/api';
import { rpcMetadataOf } from '../telemetry/open-telemetry.js';

const channel = 'tracing:fastify.request.handler:start';

/** Fastify 5 tells which route it has found. */
interface Told {
  readonly route?: { readonly url?: unknown } | undefined;
}

/** Takes the route of a request from Fastify, which leaves none on the request itself as Express does. */
export function hookFastify(): () => void {
  const listener = (message: unknown): void => {
    const url = (message as Told | undefined)?.route?.url;
    const metadata = rpcMetadataOf(context.active());
    if (typeof url === 'string' && metadata !== undefined && metadata.route === undefined)
      metadata.route = url;
  };
  diagnosticsChannel.subscribe(channel, listener);
  return () => void diagnosticsChannel.unsubscribe(channel, listener);
}
