import { type Balancer, p2c, roundRobin } from 'keelson/balancer';
import { threshold } from 'keelson/breaker';
import { seededRandom, simulatedCluster } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

const even = () => roundRobin();

describe('simulatedCluster', () => {
  it('is the same for the same seed, and another for another', () => {
    const run = (seed: number) => {
      const random = seededRandom(seed);
      const servers = { a: { serviceMs: 5 }, b: { serviceMs: 5, failRatio: 0.1 } };
      const { calls, failures, latencyMs } = simulatedCluster({ servers, balancer: even(), random }).run({
        perSecond: 100,
        durationMs: 10_000,
      });
      return [calls, failures, latencyMs(0.5)];
    };
    expect(run(1)).toEqual(run(1));
    expect(run(1)).not.toEqual(run(2));
  });

  it('agrees with queueing theory', () => {
    const random = seededRandom(7);
    const cluster = simulatedCluster({ servers: { a: { serviceMs: 10 } }, balancer: even(), random });
    const { calls, latencyMs } = cluster.run({ perSecond: 50, durationMs: 2_000_000 });
    // Poisson, 50/s for 2000 s: 100 000, standard deviation 316; five of them either way.
    expect(Math.abs(calls - 100_000)).toBeLessThan(5 * 316);
    // M/M/1 at a load of one half: the sojourn time is exponential with mean 10 / (1 - 0.5) = 20 ms, so its median is
    // 20 ln 2 = 13.9 ms and its 99th percentile 20 ln 100 = 92.1 ms. Waits are correlated: 5 % is allowed.
    expect(latencyMs(0.5)).toBeGreaterThan(13.9 * 0.95);
    expect(latencyMs(0.5)).toBeLessThan(13.9 * 1.05);
    expect(latencyMs(0.99)).toBeGreaterThan(92.1 * 0.9);
    expect(latencyMs(0.99)).toBeLessThan(92.1 * 1.1);
  });

  it('works on as many calls at once as a server has workers', () => {
    const random = seededRandom(1);
    const run = (workers: number) =>
      simulatedCluster({ servers: { a: { serviceMs: () => 100, workers } }, balancer: even(), random }).run({
        perSecond: 15,
        durationMs: 20_000,
      });
    // 15 calls of 100 ms a second keep 1.5 workers busy: one falls behind, three do not.
    expect(run(1).latencyMs(0.5)).toBeGreaterThan(1000);
    expect(run(3).latencyMs(0.5)).toBeLessThan(200);
  });

  it('shows what a balancer makes of a slow server', () => {
    const servers = { fast: { serviceMs: 10 }, same: { serviceMs: 10 }, slow: { serviceMs: 100 } };
    const share = (balancer: Balancer) => {
      const random = seededRandom(3);
      const { calls, servers: seen } = simulatedCluster({ servers, balancer, random }).run({
        perSecond: 100,
        durationMs: 60_000,
      });
      return (seen['slow']?.calls ?? 0) / calls;
    };
    expect(share(even())).toBeCloseTo(1 / 3, 2);
    // It can do 10 of the 100 calls a second at most, and a client that measures sends it less than that.
    expect(share(p2c({ random: seededRandom(3) }))).toBeLessThan(0.1);
  });

  it('shows what a gate makes of a failing one', () => {
    const random = seededRandom(5);
    const servers = { good: { serviceMs: 5 }, bad: { serviceMs: 5, failRatio: 1 } };
    const run = (guarded: boolean) =>
      simulatedCluster({
        servers,
        balancer: even(),
        random,
        gates: guarded ? () => [threshold({ random, openMs: 60_000 })] : undefined,
      }).run({ perSecond: 100, durationMs: 20_000 });
    const [bare, guarded] = [run(false), run(true)];
    expect(bare.failures).toBe(bare.servers['bad']?.calls);
    expect(bare.refused).toBe(0);
    expect(guarded.failures).toBeLessThan(bare.failures / 10);
    expect(guarded.refused).toBeGreaterThan(500);
  });

  it('gives up when callers do, while the server works on', () => {
    const random = seededRandom(2);
    const servers = { a: { serviceMs: () => 50 } };
    const { calls, failures, latencyMs } = simulatedCluster({
      servers,
      balancer: even(),
      random,
      timeoutMs: 40,
    }).run({ perSecond: 10, durationMs: 10_000 });
    expect(failures).toBe(calls);
    expect(latencyMs(0.5)).toBeNaN();
  });

  it('lets servers come, go and change', () => {
    const random = seededRandom(4);
    const cluster = simulatedCluster({ servers: { a: { serviceMs: 1 } }, balancer: even(), random });
    const { servers, failures, calls } = cluster.run({
      perSecond: 100,
      durationMs: 30_000,
      events: [
        { atMs: 10_000, change: { b: { serviceMs: 1 }, a: undefined } },
        { atMs: 20_000, change: { b: { serviceMs: 1, failRatio: 1 } } },
      ],
    });
    // A third of about 3000 calls each; Poisson with mean 1000 has a standard deviation of 32.
    expect(Math.abs((servers['a']?.calls ?? 0) - 1000)).toBeLessThan(160);
    expect((servers['a']?.calls ?? 0) + (servers['b']?.calls ?? 0)).toBe(calls);
    expect(Math.abs(failures - 1000)).toBeLessThan(160);
  });

  it('refuses calls that nobody can take', () => {
    const random = seededRandom(4);
    const cluster = simulatedCluster({ servers: {}, balancer: even(), random });
    const { refused, calls, failures } = cluster.run({ perSecond: 100, durationMs: 1000 });
    expect([refused, failures]).toEqual([calls, 0]);
  });

  it('leaves nothing in flight, and a second run goes on', () => {
    const balancer = p2c({ random: seededRandom(1) });
    const servers = { a: { serviceMs: 5 }, b: { serviceMs: 5 } };
    const cluster = simulatedCluster({ servers, balancer, random: seededRandom(1), timeoutMs: 8 });
    const first = cluster.run({ perSecond: 200, durationMs: 5000 });
    const second = cluster.run({ perSecond: 200, durationMs: 5000 });
    expect(balancer.snapshot?.(20_000).map(({ inflight }) => inflight)).toEqual([0, 0]);
    const seen = Object.values(second.servers).reduce((sum, { calls }) => sum + calls, 0);
    expect(seen).toBe(first.calls + second.calls);
  });

  it.each([
    [{ serviceMs: -1 }, 'server.serviceMs'],
    [{ serviceMs: 1, workers: 0 }, 'server.workers'],
    [{ serviceMs: 1, failRatio: 2 }, 'server.failRatio'],
    [{ serviceMs: 1, failMs: Number.NaN }, 'server.failMs'],
  ])('refuses a server with %o', (a, message) => {
    const random = seededRandom(1);
    expect(() => simulatedCluster({ servers: { a }, balancer: even(), random })).toThrow(message);
  });

  it('refuses what cannot be run', () => {
    const random = seededRandom(1);
    const servers = {};
    expect(() => simulatedCluster({ servers, balancer: even(), random, timeoutMs: 0 })).toThrow('timeoutMs');
    expect(() => simulatedCluster({ servers, balancer: even(), random: 1 as never })).toThrow('random');
    expect(() => simulatedCluster({ servers, balancer: {} as never, random })).toThrow('balancer');
    const cluster = simulatedCluster({ servers, balancer: even(), random });
    expect(() => cluster.run({ perSecond: 0, durationMs: 1 })).toThrow('run.perSecond');
    expect(() => cluster.run({ perSecond: 1, durationMs: Number.POSITIVE_INFINITY })).toThrow(
      'run.durationMs',
    );
  });
});
