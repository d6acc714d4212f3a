/**
 * Finding services and being found: the contracts, the client of the discovery protocol, and registries for tests and
 * fixed sets.
 *
 * @module
 */
export { type DiscoveryOptions, discovery, discoveryDefaults } from './discovery.js';
export type { DiscoveryEvent } from './discovery-event.js';
export { type EndpointsOptions, endpointsOf } from './endpoints.js';
export { type FallbackOptions, fallback, fallbackDefaults } from './fallback.js';
export type { ServiceInstance } from './instance.js';
export type { Joint, Source } from './joint.js';
export {
  type LosslessJson,
  parse as parseLossless,
  stringify as stringifyLossless,
} from './lossless-json.js';
export { memory } from './memory.js';
export { type MergeOptions, merge, mergeDefaults } from './merge.js';
export type { Registrar, Registration, Registry } from './registrar.js';
export type { Resolution, Resolver, Watch } from './resolver.js';
export { type StaticEndpoint, staticEndpoints } from './static.js';
export type { TlsOptions } from './tls-options.js';
export type { RegistryReply, RegistryRequest, RegistryTransport } from './transport.js';
