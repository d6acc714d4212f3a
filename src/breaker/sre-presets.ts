import type { SreOptions } from './sre.js';

// Each generation of kratos forgets by time alone: no maximum of requests.
const kratosWindow = { windowMs: 3000, buckets: 10, maxRequests: Number.POSITIVE_INFINITY } as const;

/**
 * The numbers of kratos v1: refuses when fewer than two of three succeed.
 *
 * Source: `pkg/net/netutil/breaker` of go-kratos/kratos v1.0.1.
 */
export const sreKratosV1: SreOptions = { k: 1.5, minRequests: 100, ...kratosWindow };

/**
 * The numbers of kratos v2, which are those of aegis: refuses when fewer than 60 % succeed.
 *
 * Source: `circuitbreaker/sre/sre.go` of go-kratos/aegis.
 */
export const sreKratosV2: SreOptions = { k: 1 / 0.6, minRequests: 100, ...kratosWindow };

/**
 * The numbers of kratos v3: refuses when fewer than half succeed.
 *
 * Source: `internal/circuitbreaker/sre.go` of go-kratos/kratos v3.0.0.
 */
export const sreKratosV3: SreOptions = { k: 2, minRequests: 20, ...kratosWindow };
