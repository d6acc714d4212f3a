import { createContextKey, ROOT_CONTEXT } from '@opentelemetry/api';

/** Where a context says that nothing is to be traced. The api makes equal keys of equal names: that of @opentelemetry/core. */
export const suppressKey = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING');

/** Where an export runs, which must not make spans of its own. */
export const silence = ROOT_CONTEXT.setValue(suppressKey, true);
