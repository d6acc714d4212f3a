/**
 * The BBR limiter as kratos v2 (go-kratos/aegis) and v3 have it, quirks included: to be spread before `load`.
 *
 * Kept: threshold 0.8; window of 10 s in 100 buckets; the limit is `floor(maxPass * minRtt * bucketsPerSecond)` and
 * lets one more in, for kratos judges a call before it counts it; with nothing measured, or too little, two calls; a
 * cool-down of 1 s, counted from the first refusal only; rtts and their means in whole milliseconds, at least 1;
 * the shortest rtt is learned under overload too; failures count like successes; priority says nothing.
 *
 * Not kept: here a window is 100 complete buckets, there 99; a step back of the clock does not empty the window; a
 * second release does nothing. How kratos smooths its CPU signal is a matter of the signal:
 * `loadSignal({ intervalMs: 500, smoothingMs: 9750 })` is 0.95 per 500 ms, which takes 8 s from a load of 0.6 to notice
 * that it is 1, and by then this limiter is beyond help. Without whole numbers on the way, that is: kratos truncates,
 * and needs a load of 0.819 to see 0.8.
 *
 * @example
 * ```ts
 * const limiter = bbr({ ...bbrKratos, load });
 * ```
 *
 * Source: go-kratos/aegis `ratelimit/bbr/bbr.go`, go-kratos/kratos v3 `internal/ratelimit/bbr.go`.
 */
export const bbrKratos = {
  loadThreshold: 0.8,
  maxWaitingRatio: Number.POSITIVE_INFINITY,
  windowMs: 10_000,
  buckets: 100,
  spanBuckets: 1,
  gain: 1,
  minLimit: 2,
  cooldownMs: 1000,
  cooldownFrom: 'first',
  learnWhenLoaded: true,
  rttStepMs: 1,
  failures: 'count',
  priorityRatio: 0,
} as const;
