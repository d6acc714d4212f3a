// Who is compared, and how each is started: by flags and variables alone, as a user would.
import { fileURLToPath } from 'node:url';

/** @typedef {{ id: string, name: string, execArgv: readonly string[], env: Readonly<Record<string, string>> }} Contender */

const ours = fileURLToPath(new URL('ours.mjs', import.meta.url));
const stock = fileURLToPath(new URL('stock.cjs', import.meta.url));

/** @param {string} endpoint @param {string} id */
const variables = (endpoint, id) => ({
  OTEL_SERVICE_NAME: id,
  OTEL_EXPORTER_OTLP_ENDPOINT: `${endpoint}/${id}`,
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
  OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
  OTEL_METRICS_EXPORTER: 'none',
});

/** @param {string} endpoint of the collector @param {string} id @param {string} name @param {Record<string, string>} [env] @returns {Contender} */
export const keelson = (endpoint, id, name, env = {}) => ({
  id,
  name,
  execArgv: ['--import', ours],
  env: { ...variables(endpoint, id), ...env },
});

/** @param {string} endpoint @param {Record<string, string>} [env] @returns {Contender} */
export const stockSdk = (endpoint, env = {}) => ({
  id: 'stock',
  name: 'stock SDK and auto-instrumentation, 100 %',
  execArgv: ['--require', stock],
  env: { ...variables(endpoint, 'stock'), ...env },
});

/** @param {string} endpoint @returns {readonly Contender[]} the first is what all others are compared with */
export const servers = (endpoint) => [
  { id: 'bare', name: 'bare node:http', execArgv: [], env: {} },
  keelson(endpoint, 'off', 'keelson, sampling off', { KEELSON_SAMPLING: 'off' }),
  keelson(endpoint, 'one', 'keelson, 1 %', { KEELSON_SAMPLING: 'ratio:0.01' }),
  keelson(endpoint, 'all', 'keelson, 100 %', { KEELSON_SAMPLING: 'always' }),
  keelson(endpoint, 'tail', 'keelson, tail', { KEELSON_SAMPLING: 'tail' }),
  keelson(endpoint, 'measured', 'keelson, 100 %, and metrics', {
    KEELSON_SAMPLING: 'always',
    OTEL_METRICS_EXPORTER: 'otlp',
  }),
  stockSdk(endpoint),
];
