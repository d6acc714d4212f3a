import {
  type Balancer,
  inflightMeter,
  kratosV2,
  kratosV3,
  outlierEjection,
  p2c,
  peakEwma,
  responseTime,
  roundRobin,
  standardBalancer,
} from 'keelson/balancer';
import type { Endpoint, Outcome } from 'keelson/core';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

// Discrete events: calls arrive at random (Poisson), each server is one FIFO queue, as a Node process is.

interface Server {
  /** Mean time of one call, milliseconds; `Infinity` never answers. */
  serviceMs: (now: number) => number;
  outcome?: (now: number) => Outcome;
}
interface Seen {
  calls: number;
  failures: number;
  inflight: number;
  maxInflight: number;
  latencies: number[];
}

const endpoint = (id: string): Endpoint => ({ id, url: `http://${id}`, weight: 100, metadata: {} });

/** A heap of what happens next. */
class Agenda {
  private readonly events: { at: number; run: () => void }[] = [];
  get nextAt(): number {
    return this.events[0]?.at ?? Number.POSITIVE_INFINITY;
  }
  add(at: number, run: () => void): void {
    const { events } = this;
    let hole = events.length;
    for (let up = (hole - 1) >> 1; hole > 0 && (events[up]?.at ?? 0) > at; up = (hole - 1) >> 1) {
      events[hole] = events[up] as (typeof events)[number];
      hole = up;
    }
    events[hole] = { at, run };
  }
  next(): void {
    const { events } = this;
    const first = events[0];
    const last = events.pop();
    if (first === undefined || last === undefined) return;
    if (events.length > 0) {
      let hole = 0;
      for (let down = 1; down < events.length; down = 2 * hole + 1) {
        if ((events[down + 1]?.at ?? Number.POSITIVE_INFINITY) < (events[down]?.at ?? 0)) down++;
        const child = events[down] as (typeof events)[number];
        if (child.at >= last.at) break;
        events[hole] = child;
        hole = down;
      }
      events[hole] = last;
    }
    first.run();
  }
}

interface World {
  balancer: Balancer;
  servers: Record<string, Server>;
  /** Calls a second. */
  rate: number;
  untilMs: number;
  timeoutMs?: number;
  seed?: number;
  /** What else happens: at that time, do this. */
  events?: readonly (readonly [number, (now: number) => void])[];
  /** Statistics begin here. */
  fromMs?: number;
  /** What a server says of its backlog, given what it is; without it, nobody says anything. */
  reports?: (id: string, backlogMs: number) => number;
}

function simulate(world: World): Map<string, Seen> {
  const {
    balancer,
    servers,
    rate,
    untilMs,
    timeoutMs = 1000,
    seed = 1,
    events = [],
    fromMs = 0,
    reports,
  } = world;
  const random = seededRandom(seed);
  const exponential = (mean: number) => -Math.log(1 - random()) * mean;
  const agenda = new Agenda();
  const freeAt = new Map<string, number>();
  const seen = new Map<string, Seen>();
  for (const [at, run] of events) agenda.add(at, () => run(at));
  for (let now = exponential(1000 / rate); now < untilMs; now += exponential(1000 / rate)) {
    while (agenda.nextAt <= now) agenda.next();
    const lease = balancer.pick(now);
    if (lease === null) throw new Error('nobody to pick');
    const { id } = lease.endpoint;
    const server = servers[id] as Server;
    const start = Math.max(now, freeAt.get(id) ?? 0);
    const end = start + exponential(server.serviceMs(start));
    freeAt.set(id, Math.min(end, now + 60_000));
    const timedOut = end > now + timeoutMs;
    const endAt = Math.min(end, now + timeoutMs);
    const outcome = timedOut ? 'failure' : (server.outcome?.(now) ?? 'success');
    let sums = seen.get(id);
    if (sums === undefined) {
      sums = { calls: 0, failures: 0, inflight: 0, maxInflight: 0, latencies: [] };
      seen.set(id, sums);
    }
    const mine = sums;
    mine.inflight++;
    mine.maxInflight = Math.max(mine.maxInflight, mine.inflight);
    if (now >= fromMs) mine.calls++;
    agenda.add(endAt, () => {
      mine.inflight--;
      if (now >= fromMs) {
        if (outcome === 'failure') mine.failures++;
        mine.latencies.push(endAt - now);
      }
      const backlogMs = reports?.(id, Math.max(0, (freeAt.get(id) ?? 0) - endAt));
      const load = backlogMs === undefined ? undefined : { backlogMs, serviceMs: server.serviceMs(endAt) };
      lease.release(outcome, endAt, load && { load });
    });
  }
  while (agenda.nextAt < Number.POSITIVE_INFINITY) agenda.next();
  return seen;
}

const sum = (seen: Map<string, Seen>, of: (each: Seen) => number) =>
  Array.from(seen.values(), of).reduce((total, each) => total + each, 0);
const quantile = (seen: Map<string, Seen>, q: number) => {
  const all = Array.from(seen.values(), ({ latencies }) => latencies)
    .flat()
    .sort((a, b) => a - b);
  return all[Math.floor(all.length * q)] ?? Number.NaN;
};

function cluster(count: number, server: (at: number) => Server) {
  const ids = Array.from({ length: count }, (_, at) => `e${at}`);
  return {
    list: ids.map(endpoint),
    servers: Object.fromEntries(ids.map((id, at) => [id, server(at)])),
  };
}

describe('one endpoint is ten times slower', () => {
  // Ten endpoints, nine of 10 ms and one of 100 ms, half of their capacity used: a fair share of the calls would need
  // five times what the slow one can do. Two choices draw it in a fifth of the picks, and it wins at most while it
  // is the shorter queue by a factor: of the root of the latencies, sqrt(105 / 15) = 2.6, for meters that have one, 10
  // for those linear in latency. Counting calls alone, equal queues mean a tenth of the throughput. So each of them is
  // far below half a fair share; what is left of that half is for first contacts and forced picks.
  it.each([
    ['response time', () => p2c({ random: seededRandom(2) })],
    ['response time, whole set', () => p2c({ random: seededRandom(2), scanUpTo: 10 })],
    ['peak EWMA', () => p2c({ random: seededRandom(2), meter: peakEwma() })],
    ['inflight', () => p2c({ random: seededRandom(2), meter: inflightMeter() })],
    ['kratos v2', () => p2c({ ...kratosV2, random: seededRandom(2) })],
    ['kratos v3', () => p2c({ ...kratosV3, random: seededRandom(2) })],
    ['the standard balancer', () => standardBalancer({ random: seededRandom(2) })],
  ])('and gets at most half a fair share by %s', (_, make) => {
    const balancer = make();
    const { list, servers } = cluster(10, (at) => ({ serviceMs: () => (at === 0 ? 100 : 10) }));
    balancer.update(list, 0);
    const seen = simulate({ balancer, servers, rate: 450, untilMs: 60_000 });
    expect((seen.get('e0')?.calls ?? 0) / sum(seen, ({ calls }) => calls)).toBeLessThan(0.05);
  });

  it('while turns give it a full share, and it drowns', () => {
    const balancer = roundRobin();
    const { list, servers } = cluster(10, (at) => ({ serviceMs: () => (at === 0 ? 100 : 10) }));
    balancer.update(list, 0);
    const seen = simulate({ balancer, servers, rate: 450, untilMs: 60_000 });
    expect(seen.get('e0')?.failures).toBeGreaterThan(1000);
  });
});

describe('a newcomer', () => {
  const joinAt = 5000;
  const scene = (balancer: Balancer, coldMs: number) => {
    const { list, servers } = cluster(4, () => ({ serviceMs: () => 5 }));
    servers['new'] = { serviceMs: (now) => (now < joinAt + 2000 ? coldMs : 5) };
    balancer.update(list, 0);
    const join = (now: number) => balancer.update([...list, endpoint('new')], now);
    return { balancer, servers, rate: 400, events: [[joinAt, join]] as const };
  };

  it('that is cold is not flooded', () => {
    // Two seconds at 100 ms a call. Without data it gets one call at a time; then its load is a multiple of the
    // others', whose queues hold about one call each (half of the capacity used): at twenty times their latency and a
    // fraction of its weight, a second call already makes it dearer than a queue of six elsewhere. The forced pick can
    // add one.
    const seen = simulate({
      ...scene(standardBalancer({ random: seededRandom(3) }), 100),
      untilMs: joinAt + 2000,
    });
    expect(seen.get('new')?.maxInflight).toBeLessThanOrEqual(3);
    expect(seen.get('new')?.calls).toBeGreaterThanOrEqual(1);
  });

  it('that gets warm by use only is used when it is needed', () => {
    // Its first fifty calls take 50 ms, ten times the usual. While the others have room, it is better left alone. With 7/8 of their
    // capacity used they queue for more than that now and then: then it gets calls, one at a time, and is warm after fifty of
    // them. After twenty seconds it is one of five equals.
    const { servers, ...world } = scene(standardBalancer({ random: seededRandom(3) }), 50);
    let uses = 0;
    servers['new'] = { serviceMs: () => (uses++ < 50 ? 50 : 5) };
    const fromMs = joinAt + 20_000;
    const seen = simulate({ ...world, rate: 700, servers, fromMs, untilMs: fromMs + 10_000 });
    expect((seen.get('new')?.calls ?? 0) / sum(seen, ({ calls }) => calls)).toBeGreaterThan(0.15);
  });

  it.each([
    ['response time', () => p2c({ random: seededRandom(4) })],
    ['kratos v3', () => p2c({ ...kratosV3, random: seededRandom(4) })],
    ['the standard balancer', () => standardBalancer({ random: seededRandom(4) })],
  ])('that is warm is not starved by %s', (_, make) => {
    // After the ramp of five seconds it is one of five equals; a fifth, less at most a tenth of that for chance. The standard
    // balancer leaves an endpoint alone for seconds after a bad answer, so it takes a minute to come out even.
    const fromMs = joinAt + 6000;
    const seen = simulate({ ...scene(make(), 5), fromMs, untilMs: fromMs + 60_000 });
    const share = (seen.get('new')?.calls ?? 0) / sum(seen, ({ calls }) => calls);
    expect(share).toBeGreaterThan(0.18);
    expect(share).toBeLessThan(0.22);
  });
});

describe('an endpoint that fails fast', () => {
  const failing = (ratio: number) => {
    const random = seededRandom(9);
    return cluster(4, (at) =>
      at === 0
        ? { serviceMs: () => 0.1, outcome: () => (random() < ratio ? 'failure' : 'success') }
        : { serviceMs: () => 10 },
    );
  };

  it('looks cheap to least request, and dear to response time', () => {
    const share = (balancer: Balancer) => {
      const { list, servers } = failing(1);
      balancer.update(list, 0);
      const seen = simulate({ balancer, servers, rate: 150, untilMs: 30_000 });
      return (seen.get('e0')?.calls ?? 0) / sum(seen, ({ calls }) => calls);
    };
    expect(share(p2c({ random: seededRandom(1), meter: inflightMeter() }))).toBeGreaterThan(0.25);
    // With a health of 0.01 it costs 1000 times a good call, 30 times after the root: it wins against nobody but while
    // it is idle and half forgiven. Well under a fair quarter.
    expect(share(p2c({ random: seededRandom(1), meter: responseTime() }))).toBeLessThan(0.05);
  });

  it('is out after five calls, and fails one call for each trial after that', () => {
    const { list, servers } = failing(1);
    const balancer = standardBalancer({ random: seededRandom(1) });
    balancer.update(list, 0);
    const seen = simulate({ balancer, servers, rate: 150, untilMs: 60_000 });
    // Trials after 3, 6, 12, 24 s: the fifth would come at 93 s.
    expect(seen.get('e0')?.calls).toBe(5 + 4);
  });

  it('is also out when it fails three calls of ten, most of the time', () => {
    const { list, servers } = failing(0.3);
    const balancer = outlierEjection(roundRobin());
    balancer.update(list, 0);
    const seen = simulate({ balancer, servers, rate: 150, untilMs: 120_000 });
    // In turns it would fail 0.3 / 4 = 7.5 % of all calls. It is in for some 20 to 30 calls (most of a second at its
    // quarter of 150/s) and then out for 3, 6, 12 … s, a tenth of the time or less once the terms have grown.
    expect(sum(seen, ({ failures }) => failures) / sum(seen, ({ calls }) => calls)).toBeLessThan(0.015);
    expect(seen.get('e0')?.calls).toBeGreaterThan(20);
  });

  it('goes on serving when it is alone', () => {
    const balancer = standardBalancer({ random: seededRandom(1) });
    const { servers } = failing(0.3);
    balancer.update([endpoint('e0')], 0);
    const seen = simulate({ balancer, servers, rate: 100, untilMs: 30_000 });
    expect(seen.get('e0')?.calls).toBeGreaterThan(2500);
  });
});

describe('an endpoint that hangs', () => {
  it('collects few calls before the first of them times out', () => {
    const hangAt = 10_000;
    const { list, servers } = cluster(4, (at) => ({
      serviceMs: (now) => (at === 0 && now >= hangAt ? Number.POSITIVE_INFINITY : 10),
    }));
    const balancer = standardBalancer({ random: seededRandom(5) });
    balancer.update(list, 0);
    const seen = simulate({
      balancer,
      servers,
      rate: 200,
      untilMs: hangAt + 900,
      fromMs: hangAt,
      timeoutMs: 1000,
    });
    // 180 calls in 900 ms; a fair share is 45. After one call has waited for 100 ms, ten times its average, the load is
    // sqrt(10) times that of an idle other for each call it holds: the others would have to queue six and more.
    expect(seen.get('e0')?.failures).toBeLessThanOrEqual(6);
  });
});

describe('a rolling deploy', () => {
  it('sends nothing to those that left, loses nothing, and ends with equal shares', () => {
    const { list, servers } = cluster(8, () => ({ serviceMs: () => 5 }));
    const before = list.slice(0, 4);
    const after = list.slice(4);
    const balancer = standardBalancer({ random: seededRandom(6) });
    balancer.update(before, 0);
    const gone = new Set<string>();
    const events = before.flatMap((leaver, at) => {
      const startAt = 5000 + at * 8000;
      return [
        [startAt, (now: number) => balancer.update([...before.slice(at), ...after.slice(0, at + 1)], now)],
        [
          startAt + 6000,
          (now: number) => {
            gone.add(leaver.id);
            balancer.update([...before.slice(at + 1), ...after.slice(0, at + 1)], now);
          },
        ],
      ] as const;
    });
    const watched: Balancer = {
      update: (endpoints, now) => balancer.update(endpoints, now),
      pick: (now) => {
        const lease = balancer.pick(now);
        expect(gone.has(lease?.endpoint.id ?? '')).toBe(false);
        return lease;
      },
    };
    const seen = simulate({ balancer: watched, servers, rate: 400, untilMs: 60_000, events, fromMs: 40_000 });
    expect(sum(seen, ({ failures }) => failures)).toBe(0);
    for (const { id } of after) {
      expect((seen.get(id)?.calls ?? 0) / sum(seen, ({ calls }) => calls)).toBeCloseTo(0.25, 1.3);
    }
    expect(balancer.snapshot?.(60_000).map(({ id, inflight }) => [id, inflight])).toEqual(
      after.map(({ id }) => [id, 0]),
    );
  });
});

describe('twenty clients that share twenty servers', () => {
  /** Each call is made by one of them, and they know nothing of each other. */
  const clients = (make: (seed: number) => Balancer): Balancer => {
    const all = Array.from({ length: 20 }, (_, at) => make(100 + at));
    const random = seededRandom(8);
    return {
      update: (endpoints, now) => {
        for (const each of all) each.update(endpoints, now);
      },
      pick: (now) => all[Math.floor(random() * all.length)]?.pick(now) ?? null,
    };
  };
  const run = (balancer: Balancer, reports: NonNullable<World['reports']>, slow = 3) => {
    const { list, servers } = cluster(20, (at) => ({ serviceMs: () => (at === 0 ? slow : 3) }));
    balancer.update(list, 0);
    // 80 % of what twenty servers of 3 ms can do.
    return simulate({ balancer, servers, rate: 5333, untilMs: 12_000, fromMs: 2000, reports });
  };
  const honest = (_: string, backlogMs: number) => backlogMs;
  const standard = (seed: number) => standardBalancer({ random: seededRandom(seed) });

  it('queue much less by what servers report than by what each of them sees', () => {
    // Of twenty calls at a server one is a client's own: its counts and averages say next to nothing of the queue, and two choices
    // are hardly better than one. The report of an idle server is still true when the next call of a client comes, 4 ms later.
    const told = run(clients(standard), honest);
    const least = run(
      clients((seed) => p2c({ random: seededRandom(seed), meter: inflightMeter() })),
      honest,
    );
    const kratos = run(
      clients((seed) => p2c({ ...kratosV2, random: seededRandom(seed) })),
      honest,
    );
    expect(quantile(told, 0.99)).toBeLessThan(0.75 * quantile(least, 0.99));
    expect(quantile(told, 0.99)).toBeLessThan(0.75 * quantile(kratos, 0.99));
    expect(quantile(told, 0.5)).toBeLessThan(quantile(least, 0.5));
  });

  it('do not believe one that is ten times slower and says that it is idle', () => {
    // It could do a tenth of its twentieth. Each client finds out for itself, by a few dozen calls; half of a fair share leaves
    // room for that.
    const seen = run(clients(standard), (id, backlogMs) => (id === 'e0' ? 0 : backlogMs), 30);
    expect((seen.get('e0')?.calls ?? 0) / sum(seen, ({ calls }) => calls)).toBeLessThan(0.025);
  });

  it('do without reports of which nothing can be true', () => {
    const absurd = [Number.NaN, -1, Number.POSITIVE_INFINITY, 1e300];
    let turn = 0;
    const lies = run(clients(standard), () => absurd[turn++ % absurd.length] as number);
    const silent = run(
      clients((seed) => p2c({ random: seededRandom(seed) })),
      honest,
    );
    expect(quantile(lies, 0.99)).toBeLessThan(1.1 * quantile(silent, 0.99));
  });
});

describe('a million calls', () => {
  it('over thirty endpoints queue less than by turns, and leave nothing behind', () => {
    const run = (balancer: Balancer, untilMs: number) => {
      const { list, servers } = cluster(30, () => ({ serviceMs: () => 3 }));
      balancer.update(list, 0);
      const seen = simulate({ balancer, servers, rate: 8000, untilMs });
      for (const { inflight } of balancer.snapshot?.(untilMs) ?? []) expect(inflight).toBe(0);
      return seen;
    };
    const seen = run(standardBalancer({ random: seededRandom(7) }), 125_000);
    const calls = sum(seen, (each) => each.calls);
    expect(calls).toBeGreaterThan(990_000);
    // One client that sees all of its own calls, 80 % used: two choices are near E[T] = sum of rho^(2^i - 2), here
    // 1 + 0.64 + 0.26 + 0.04 = 1.95 service times, with room for the latency term: 2.5. By turns the queues do not
    // know of each other: D/M/1-like, above that.
    const mean = (of: Map<string, Seen>) =>
      sum(of, ({ latencies }) => latencies.reduce((total, each) => total + each, 0)) /
      sum(of, (each) => each.calls);
    expect(mean(seen)).toBeLessThan(2.5 * 3);
    const turns = run(roundRobin(), 10_000);
    expect(mean(seen)).toBeLessThan(mean(turns));
    expect(quantile(seen, 0.99)).toBeLessThan(quantile(turns, 0.99));
  });
});
