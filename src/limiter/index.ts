/**
 * Limits: how much may be in flight, adaptive or fixed, and how often. No dependency, no `node:` module; the load
 * signal that {@link bbr} reads is a subpath of its own, `keelson/limiter/load`.
 *
 * @module
 */
export { type BbrLimiter, type BbrSnapshot, bbr } from './bbr.js';
export { type BbrOptions, bbrDefaults, type LoadReading } from './bbr-options.js';
export { type ConcurrencyLimiter, type ConcurrencyOptions, concurrency } from './concurrency.js';
export type { Limiter, LimiterSnapshot } from './limiter.js';
export { bbrKratos } from './presets.js';
export { type RateLimiter, type RateOptions, type RateSnapshot, rate, rateDefaults } from './rate.js';
