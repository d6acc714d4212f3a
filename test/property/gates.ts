import { type BreakerSnapshot, evidence, sre, sreKratosV3, threshold } from 'keelson/breaker';
import type { Gate } from 'keelson/core';
import { bbr, bbrKratos, concurrency, gradient, type Limiter, rate, vegas } from 'keelson/limiter';
import { seededRandom } from 'keelson/testing';

/** A gate as the properties look at it. */
export interface GateUnderTest {
  readonly gate: Gate;
  /**
   * Everything it shows of itself at a moment; of this, the permits that were given and not yet released. A gate that
   * does not count them, because it bounds something else, leaves them out.
   */
  snapshot(now: number): object & { readonly inflight?: number };
}

/** Something that makes a fresh gate; the same one again for the same seed. */
export interface GateFactory {
  readonly name: string;
  make(seed: number): GateUnderTest;
}

const shown = (gate: (Gate & { snapshot(now: number): BreakerSnapshot }) | Limiter): GateUnderTest => ({
  gate,
  snapshot: (now) => gate.snapshot(now),
});

/** Sums of fractions end a hair off; the least that `rate` itself tells apart is a millionth of a call. */
const quota = (perSecond: number, burst: number): GateUnderTest => {
  const gate = rate({ perSecond, burst });
  return { gate, snapshot: (now) => ({ available: Math.round(gate.snapshot(now).available * 1e6) }) };
};

const throwing = () => {
  throw new Error('a hook of the user');
};

/** Every gate for which the properties of gates.test.ts have to hold. Whoever writes a gate adds it here. */
export const gates: GateFactory[] = [
  { name: 'sre', make: (seed) => shown(sre({ random: seededRandom(seed), minRequests: 3, windowMs: 500 })) },
  {
    name: 'sre, few requests kept',
    make: (seed) =>
      shown(sre({ random: seededRandom(seed), minRequests: 1, maxRequests: 4, windowMs: 200, buckets: 3 })),
  },
  { name: 'sre as kratos v3', make: (seed) => shown(sre({ ...sreKratosV3, random: seededRandom(seed) })) },
  {
    name: 'sre, observed, with a hook that throws',
    make: (seed) =>
      shown(sre({ random: seededRandom(seed), minRequests: 1, mode: 'observe', onTransition: throwing })),
  },
  {
    name: 'threshold',
    make: (seed) =>
      shown(
        threshold({
          random: seededRandom(seed),
          minRequests: 3,
          windowMs: 500,
          openMs: 40,
          probes: 2,
          probeTimeoutMs: 60,
        }),
      ),
  },
  {
    name: 'threshold, in a row and slow',
    make: (seed) =>
      shown(
        threshold({
          random: seededRandom(seed),
          consecutiveFailures: 2,
          slowMs: 20,
          minRequests: 2,
          openMs: 10,
          openFactor: 1,
          probes: 1,
          probeTimeoutMs: 15,
          onTransition: throwing,
        }),
      ),
  },
  {
    name: 'threshold, observed',
    make: (seed) =>
      shown(
        threshold({ random: seededRandom(seed), minRequests: 2, openMs: 20, probes: 3, mode: 'observe' }),
      ),
  },
  { name: 'evidence', make: (seed) => shown(evidence({ random: seededRandom(seed) })) },
  {
    name: 'evidence, quick to open and to probe',
    make: (seed) =>
      shown(
        evidence({
          random: seededRandom(seed),
          consecutiveFailures: 2,
          probeIntervalMs: 20,
          probeTimeoutMs: 30,
          maxRequests: 10,
          windowMs: 200,
          onTransition: throwing,
        }),
      ),
  },
  {
    name: 'evidence, observed',
    make: (seed) =>
      shown(
        evidence({
          random: seededRandom(seed),
          consecutiveFailures: 2,
          probeIntervalMs: 20,
          windowMs: 100,
          mode: 'observe',
        }),
      ),
  },
  {
    name: 'bbr under load',
    make: () =>
      shown(
        bbr({
          load: () => 1,
          windowMs: 400,
          buckets: 8,
          spanBuckets: 2,
          minLimit: 2,
          onTransition: throwing,
        }),
      ),
  },
  {
    name: 'bbr, loaded or not, on few buckets',
    make: (seed) =>
      shown(bbr({ load: { value: (seed % 10) / 10 }, windowMs: 200, buckets: 4, spanBuckets: 1 })),
  },
  { name: 'bbr as kratos', make: () => shown(bbr({ ...bbrKratos, load: () => 1 })) },
  {
    name: 'bbr with a load that throws',
    make: () => shown(bbr({ load: throwing, minLimit: 1 })),
  },
  {
    name: 'bbr with too much waiting',
    make: () => shown(bbr({ load: { value: 3, waiting: 3 }, windowMs: 200, buckets: 4, spanBuckets: 1 })),
  },
  {
    name: 'gradient',
    make: () => shown(gradient({ initialLimit: 3, minLimit: 1, windowMs: 100, minSamples: 1 })),
  },
  {
    name: 'vegas',
    make: (seed) =>
      shown(
        vegas({
          initialLimit: 3,
          windowMs: 100,
          minSamples: 1,
          probeMultiplier: 1,
          random: seededRandom(seed),
        }),
      ),
  },
  { name: 'concurrency', make: () => shown(concurrency({ limit: 4 })) },
  { name: 'rate', make: () => quota(20, 5) },
  { name: 'rate without a burst', make: () => quota(100, 1) },
];
