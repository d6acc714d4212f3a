import { type KratosFormula, KratosMeter } from './kratos-meter.js';
import type { P2cOptions } from './p2c.js';

const msInNs = 1e6;

/** The server's CPU counts; calls in flight are counted, and their age is not looked at. */
const first: KratosFormula = {
  load: (lagNs, inflight, cpu) => cpu * (Math.sqrt(lagNs) + 1) * inflight,
  refreshMs: () => 0,
  predicts: false,
  quorum: () => Number.POSITIVE_INFINITY,
  judges: true,
};

const second: KratosFormula = {
  load: (lagNs, inflight) => (lagNs === 0 ? 10_000 * msInNs : lagNs) * inflight,
  refreshMs: (lagNs) => Math.min(200, Math.max(5, lagNs / msInNs / 5)),
  predicts: true,
  // `count > len/2 + 1` there: of three calls, all.
  quorum: (running) => Math.floor(running / 2) + 2,
  judges: false,
};

const third: KratosFormula = {
  load: (lagNs, inflight) => (lagNs === 0 ? 1e5 : Math.floor(Math.sqrt(lagNs + 5 * msInNs))) * inflight,
  refreshMs: () => 5,
  predicts: true,
  quorum: (running) => Math.floor(running / 2) + 1,
  judges: false,
};

/**
 * {@link p2c} as in kratos v1 (warden), the generation with server feedback: `cpu * (sqrt(lag) + 1) * inflight /
 * (success * weight)`, redrawn up to three times while neither candidate is fit (success above one half, CPU below 90 %).
 *
 * Needs servers that report `cpuRatio`; without reports all count as half busy. An endpoint without data looks cheap,
 * as it does there.
 *
 * @example
 * ```ts
 * const balancer = p2c(kratosV1);
 * ```
 *
 * Source: kratos v1.0.1, `pkg/net/rpc/warden/balancer/p2c`. Differs from it as all three generations here do: state
 * survives updates, a call cancelled by its caller is no failure of the endpoint and can only raise its latency.
 * A 429 counts as a success, as it does there.
 */
export const kratosV1: P2cOptions = {
  meter: () => new KratosMeter(first),
  forcePickMs: 3000,
  toleranceRatio: 0,
  scanUpTo: 0,
  weighting: 'load',
  redraws: 3,
};

/**
 * {@link p2c} as in kratos v2 before the square root: `max(lag, predicted) * inflight / success`; an endpoint without
 * data counts as 10 s. The registered weight counts nowhere, as there.
 *
 * Source: kratos v2, `selector/node/ewma`, commit 017c018. What differs is said at {@link kratosV1}.
 */
export const kratosV2: P2cOptions = {
  meter: () => new KratosMeter(second),
  forcePickMs: 3000,
  toleranceRatio: 0,
  scanUpTo: 0,
  weighting: 'none',
};

/**
 * {@link p2c} as in kratos v3 (and late v2): `floor(sqrt(max(lag, predicted) + 5 ms)) * inflight / success`, in
 * nanoseconds under the root; an endpoint without data counts as about 10 s. The registered weight counts nowhere, as there.
 *
 * Source: kratos v3.0.0, `selector/node/ewma`. The load is not cached for 5 ms here, only the prediction is: the cache
 * makes a burst blind. What else differs is said at {@link kratosV1}.
 */
export const kratosV3: P2cOptions = {
  meter: () => new KratosMeter(third),
  forcePickMs: 3000,
  toleranceRatio: 0,
  scanUpTo: 0,
  weighting: 'none',
};
