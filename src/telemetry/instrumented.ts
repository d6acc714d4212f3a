import diagnosticsChannel from 'node:diagnostics_channel';
import http from 'node:http';

interface Wrapped {
  readonly __wrapped?: unknown;
}

/**
 * Whether an auto-instrumentation traces outgoing HTTP in this process: undici's (which `fetch` is made of) listens on a
 * channel, that of `node:http` has wrapped `request`. Looked up at each call, since both can come late and go again.
 */
export function httpInstrumented(): boolean {
  return (
    diagnosticsChannel.channel('undici:request:create').hasSubscribers ||
    (http.request as Wrapped).__wrapped === true
  );
}
