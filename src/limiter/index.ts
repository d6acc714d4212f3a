/**
 * Limits: how much may be in flight, adaptive or fixed, and how often. No dependency, no `node:` module; the
 * signals that {@link bbr} reads are a subpath of their own, `keelson/limiter/load`.
 *
 * @module
 */
export { type BbrLimiter, type BbrSnapshot, bbr } from './bbr.js';
export { type BbrOptions, bbrDefaults, type LoadReading } from './bbr-options.js';
export { type ConcurrencyLimiter, type ConcurrencyOptions, concurrency } from './concurrency.js';
export { type DispatchQueueOptions, dispatchQueueDefaults } from './dispatch-options.js';
export { type DispatchQueue, type DispatchSnapshot, dispatchQueue } from './dispatch-queue.js';
export { gradient } from './gradient.js';
export { type GradientOptions, gradientDefaults } from './gradient-options.js';
export type { Limiter, LimiterSnapshot } from './limiter.js';
export { bbrKratos } from './presets.js';
export { type RateLimiter, type RateOptions, type RateSnapshot, rate, rateDefaults } from './rate.js';
export type { RttLimiter, RttSnapshot } from './rtt-limiter.js';
export { vegas } from './vegas.js';
export { type VegasOptions, vegasDefaults } from './vegas-options.js';
