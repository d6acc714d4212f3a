import type { Metadata } from '@grpc/grpc-js';
import { currentCall } from '../core/current.js';
import { type InboundCall, inboundByMetadata, inboundKey } from './inbound-call.js';

/** What a handler of grpc-js is at; `undefined` on a server that is not governed. */
export function inboundOf(call: { readonly metadata: Metadata }): InboundCall | undefined {
  // An interceptor after ours may have put other metadata in place of what came.
  return inboundByMetadata.get(call.metadata) ?? currentCall()?.values.get(inboundKey);
}
