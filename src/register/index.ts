/**
 * Traces an unchanged service, in one line: `import 'keelson/register'` before all else, or
 * `node --import keelson/register app.js`. The one module that runs when it is imported.
 *
 * What comes by `node:http`, `https` and `http2` and what goes out by them, by `fetch` and undici, gRPC among both, makes spans
 * and durations, for `import` and `require` alike and without a loader. It is set up by the variables of OpenTelemetry
 * (`OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_*`, `OTEL_TRACES_SAMPLER`, `OTEL_METRICS_EXPORTER`, …) and by
 * `KEELSON_SAMPLING` (`tail`, `ratio:0.1`, `rateLimit:5`, …), `KEELSON_SPOOL_DIR`, `KEELSON_SPOOL_MAX_BYTES`,
 * `KEELSON_TRUST` (`private`, `all`, `none`), `KEELSON_INNER_HOSTS`, `KEELSON_DISABLED_HOOKS`, `KEELSON_SHUTDOWN_TIMEOUT_MS`.
 *
 * Without a service name it is the one of the nearest `package.json`. Beside auto-instrumentation, and beside keelson's own
 * stacks, there is one span of each request, and one `traceparent`; `registered.edges()` tells who calls whom. A value that
 * cannot be used is told in one line, and never keeps a program from starting; `docs/telemetry.md` lists all variables, those
 * that are not read included.
 *
 * @module
 */
export type { SignalState, Telemetry } from '../otel/telemetry.js';
export type { Edge, EdgeDuration, EdgeEnd, EdgeName, EdgePeriod, EdgeSide } from '../topology/edge.js';
export type { Environment } from './environment-reader.js';
export { registered } from './registered.js';
export type { SamplingChoice } from './sampling-choice.js';
export { type Hook, type RegisterSettings, readSettings } from './settings.js';
export type { Protocol, SignalSettings } from './signal-settings.js';
export type { Registered } from './start.js';
