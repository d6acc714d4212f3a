import { tracerSource } from './open-telemetry.js';

/** Where all copies of the api of one major keep what was registered. */
const registry = Symbol.for('opentelemetry.js.api.1');

interface Registered {
  readonly version?: string;
  readonly trace?: unknown;
}

/**
 * Tells whether an SDK is registered that cannot be seen from here, since it was registered through a copy of
 * `@opentelemetry/api` whose minor version does not fit ours. OpenTelemetry says nothing of it: all spans are no-ops.
 *
 * Use it once at the start of an application, after the SDK, and print what it says.
 *
 * @returns what to do about it, or `undefined` when all is well or there is no SDK
 */
export function apiMismatch(): string | undefined {
  const { version, trace } = (globalThis as { [registry]?: Registered })[registry] ?? {};
  if (trace === undefined || tracerSource(undefined).live() !== undefined) return undefined;
  return `an OpenTelemetry SDK is registered through @opentelemetry/api ${version}, but keelson resolves another copy whose version does not fit, so nothing is traced; install one @opentelemetry/api, of the version that the SDK asks for`;
}
