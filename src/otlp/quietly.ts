import { context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api';
import { runWithoutCall } from '../core/current.js';

// The api makes equal keys of equal names, so this is the key of @opentelemetry/core, without needing it.
const suppressKey = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');
const silent = ROOT_CONTEXT.setValue(suppressKey, true);

/**
 * Runs a function, and all that it starts, as part of no call, and where instrumentations make no spans: a request that
 * carries spans must not make further ones.
 */
export function quietly<T>(run: () => T): T {
  return runWithoutCall(() => context.with(silent, run));
}
