/** Numbers over time. Time is an argument. Not a subpath of the package. */
export { Ewma } from './ewma.js';
export { FrugalMedian } from './frugal-median.js';
export { LatencyHistogram } from './latency-histogram.js';
export { LatencySketch } from './latency-sketch.js';
export { RecentCounter } from './recent-counter.js';
export { RollingCounter } from './rolling-counter.js';
export { TokenBucket } from './token-bucket.js';
export { Tournament } from './tournament.js';
