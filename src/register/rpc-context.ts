import type { Context, Span } from '@opentelemetry/api';
import { type RpcMetadata, rpcKey } from '../telemetry/open-telemetry.js';
import { spanWith } from '../telemetry/span-with.js';

/** What instrumentations within know a request by. A class, so that all have one shape. */
export class RequestMetadata implements RpcMetadata {
  readonly type = 'http';
  route: string | undefined = undefined;
  adopted: boolean | undefined = undefined;
  constructor(readonly span: Span) {}
}

/** The context of a request that is served. Middlewares of keelson and other people's find the span in it, and make none. */
export function servingContext(parent: Context, metadata: RequestMetadata): Context {
  return spanWith(parent, metadata.span, { key: rpcKey, value: metadata });
}
