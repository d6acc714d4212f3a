// `import 'keelson/register'`, and a handle for the measurement.
import { registered } from 'keelson/register';

/** @type {any} */ (globalThis).benchTelemetry = {
  flush: () => registered.telemetry?.flush(),
  shutdown: () => registered.telemetry?.shutdown(),
  losses: () => registered.telemetry?.losses(),
};
