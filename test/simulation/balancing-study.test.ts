import { type Balancer, kratosV2, kratosV3, p2c } from 'keelson/balancer';
import { describe, expect, it } from 'vitest';
import { type Rule, runCell, type Scenario } from '../../bench/sim/balancing/cell.mjs';
import { Node, ofTwo } from '../../bench/sim/balancing/peers/nodes.mjs';
import { tasksOf } from '../../bench/sim/balancing/plan.mjs';
import { rules } from '../../bench/sim/balancing/rules.mjs';
import { scenarios } from '../../bench/sim/balancing/scenarios.mjs';
import { transports } from '../../bench/sim/balancing/transports.mjs';

function named<T>(found: T | undefined): T {
  if (found === undefined) throw new Error('there is none of that name');
  return found;
}
const rule = (name: string): Rule => named(rules.find((one) => one.name === name));
const scenario = (id: string): Scenario => named(scenarios.find((one) => one.id === id));
const transport = (name: string) => named(transports.get(name));

interface Choice {
  id?: string;
  load?: number;
  by?: Rule;
  way?: string;
  seed?: number;
  seconds?: number;
  warmUpMs?: number;
}
const run = ({
  id = 'A',
  load = 0.9,
  by = rule('standardBalancer'),
  way = 'single',
  warmUpMs = 500,
  ...rest
}: Choice) =>
  runCell({
    scenario: scenario(id),
    load,
    rule: by,
    transport: transport(way),
    seed: 1,
    seconds: 1,
    ...rest,
  });

/** Two choices by what is really so. */
const twoByTruth: Rule = {
  name: 'two by truth',
  kind: 'oracle',
  make: (streams, _client, fleet) =>
    ofTwo(
      streams('pick'),
      (endpoint) => new Node(endpoint),
      (first, second) => {
        const [a, b] = [first, second].map(({ endpoint }) => fleet.replica(endpoint.id));
        return named(b).queued + named(b).awaited < named(a).queued + named(a).awaited ? second : first;
      },
    ),
};

/** How many leases of a rule are out, and whether one was ever given back twice. */
function watched(inner: Rule) {
  const seen = { out: 0, twice: 0 };
  const make: Rule['make'] = (...args) => {
    const balancer: Balancer = inner.make(...args);
    return {
      update: (endpoints, now) => balancer.update(endpoints, now),
      pick: (now, hint) => {
        const lease = balancer.pick(now, hint);
        if (lease === null) return null;
        seen.out++;
        let open = true;
        return {
          endpoint: lease.endpoint,
          reason: lease.reason,
          observe: (...end) => lease.observe(...end),
          release: (...end) => {
            if (open) seen.out--;
            else seen.twice++;
            open = false;
            lease.release(...end);
          },
        };
      },
    };
  };
  return { seen, rule: { ...inner, make } };
}

describe('the balancing study', () => {
  it.each(['single', 'tied', 'tied, claiming, retried', 'hedged'])('repeats itself: %s', (way) => {
    const once = run({ id: 'E', way });
    expect(run({ id: 'E', way })).toEqual(once);
    expect(run({ id: 'E', way, seed: 2 })).not.toEqual(once);
  });

  it('lets all rules meet the same calls', () => {
    const counts = rules.map((by) => run({ by, warmUpMs: 50, seconds: 0.05 }).calls);
    expect(new Set(counts).size).toBe(1);
  });

  it('agrees with M/M/1 where calls go anywhere', () => {
    // 3 ms / (1 - 0.9), 4 ms of I/O, 0.6 ms of wire.
    const { mean } = run({ by: rule('random'), seconds: 25 });
    expect(Math.abs(mean / 34.6 - 1)).toBeLessThan(0.07);
  });

  it('agrees with the theory of two choices where they know the truth', () => {
    // 3 ms * 2.61, the sum of 0.9 ** (2 ** i - 2), and the same on top.
    const { mean } = run({ by: twoByTruth, seconds: 10 });
    expect(Math.abs(mean / 12.4 - 1)).toBeLessThan(0.05);
  });

  it('is bounded by its oracles', () => {
    const [base, queue, work] = ['kratos v2', 'jsq-cpu', 'jsq-work'].map((name) =>
      run({ by: rule(name), seconds: 3 }),
    );
    expect(named(queue).p99).toBeLessThan(named(base).p99 / 2);
    expect(named(work).p99).toBeLessThan(named(queue).p99);
  });

  it.each([...transports.keys()].filter((way) => way === 'retried' || !way.endsWith('retried')))(
    'gives every lease back once: %s',
    (way) => {
      const { seen, rule: by } = watched(rule('kratos v2'));
      run({ id: 'E', by, way });
      expect(seen).toEqual({ out: 0, twice: 0 });
    },
  );

  it('runs nothing twice that claims, and ties fewer calls where little is to do', () => {
    const claiming = run({ way: 'tied, claiming' });
    expect(claiming.duplicates).toBe(0);
    // Whatever crosses on the wire, one of the two is let go on.
    expect(claiming.timeouts).toBe(0);
    expect(claiming.copies).toBeGreaterThan(0.5);
    expect(run({ load: 0.4, way: 'tied' }).copies).toBeLessThan(0.3);
    expect(run({ way: 'tied' }).duplicates).toBeGreaterThan(0);
  });

  it('asks servers about copies where they can hear: between two calls, and not in a pause', () => {
    const [free, claiming, late] = ['tied', 'tied, claiming', 'tied, told at the start'].map((way) =>
      run({ id: 'C', way, seconds: 2 }),
    );
    expect(named(free).p99).toBeLessThan(named(claiming).p99);
    expect(named(free).p999).toBeLessThan(named(claiming).p999);
    expect(named(free).p99).toBeLessThan(named(late).p99);
    const { p50, p90, p95, p99, p999, p9999 } = named(free);
    const nines = [p50, p90, p95, p99, p999, p9999];
    expect(nines.toSorted((a, b) => a - b)).toEqual(nines);
  });

  it('counts failures with and without the retry', () => {
    const single = run({ id: 'E', by: rule('kratos v2'), seconds: 4 });
    const retried = run({ id: 'E', by: rule('kratos v2'), way: 'retried', seconds: 4 });
    expect(single.lost).toBeGreaterThan(0.001);
    expect(single.errors).toBeGreaterThanOrEqual(single.lost);
    expect(retried.errors).toBeLessThan(single.errors / 20);
  });

  it('finds shipped rules and their re-implementation alike', () => {
    const inflight = run({ by: rule('p2c inflight') });
    expect(inflight).toEqual(run({ by: rule('least request P2C') }));
    for (const [name, options] of [
      ['kratos v2', kratosV2],
      ['kratos v3, no cache', kratosV3],
    ] as const) {
      const peer = run({ id: 'D', load: 0.7, by: rule(name), seconds: 4 });
      const make: Rule['make'] = (streams) => p2c({ ...options, random: streams('pick') });
      const ours = run({ id: 'D', load: 0.7, by: { name, kind: 'shipped', make }, seconds: 4 });
      expect(Math.abs(ours.p99 / peer.p99 - 1)).toBeLessThan(0.1);
      expect(Math.abs(ours.p50 / peer.p50 - 1)).toBeLessThan(0.05);
    }
  });

  it('keeps scenarios back', () => {
    expect(scenarios.filter(({ chosenOn }) => chosenOn).map(({ id }) => id)).toEqual([
      'A',
      'B',
      'C',
      'D',
      'E',
      'awaiting',
      'pools',
      'mixed-operations',
    ]);
    expect(new Set(scenarios.map(({ id }) => id)).size).toBe(scenarios.length);
    const tasks = tasksOf({ quick: false, seed: 1 });
    for (const { id } of scenarios) expect(tasks.some((task) => task.scenario === id)).toBe(true);
  });
});
