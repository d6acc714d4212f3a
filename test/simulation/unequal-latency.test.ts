import fc from 'fast-check';
import { type Balancer, standardBalancer } from 'keelson/balancer';
import type { Endpoint, Outcome, Random, ServerLoad } from 'keelson/core';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { lognormal } from '../../bench/sim/engine/streams.mjs';
import { World } from '../../bench/sim/engine/world.mjs';

// Servers that wait for something else than their thread, in virtual time: there is room for everybody everywhere.

interface Scene {
  balancer: Balancer;
  count: number;
  latencyMs: (server: number, now: number, random: Random) => number;
  outcome?: (server: number, now: number) => Outcome;
  load?: ServerLoad | undefined;
  seed: number;
  /** Calls a second at random times; without it, one call at a time. */
  rate?: number;
  untilMs?: number;
  calls?: number;
}
interface Sent {
  at: number;
  server: number;
}

const endpoints = (count: number): Endpoint[] =>
  Array.from({ length: count }, (_, at) => ({ id: `${at}`, url: `http://${at}`, weight: 100, metadata: {} }));

function play(scene: Scene): Sent[] {
  const { balancer, latencyMs, outcome, load, rate } = scene;
  const { untilMs = Number.POSITIVE_INFINITY, calls = Number.POSITIVE_INFINITY } = scene;
  const world = new World();
  const random = seededRandom(scene.seed);
  const sent: Sent[] = [];
  balancer.update(endpoints(scene.count), 0);
  const send = (now: number, ended: (now: number) => void) => {
    const lease = balancer.pick(now);
    if (lease === null) throw new Error('nobody');
    const server = Number(lease.endpoint.id);
    sent.push({ at: now, server });
    const end = outcome?.(server, now) ?? 'success';
    world.after(end === 'success' ? latencyMs(server, now, random) : 1, (at) => {
      lease.release(end, at, load && { load });
      ended(at);
    });
  };
  const sequential = (now: number): void => {
    if (sent.length < calls && now < untilMs) send(now, sequential);
  };
  const arrive = (now: number): void => {
    send(now, () => undefined);
    const next = now - (Math.log(1 - random()) * 1000) / (rate as number);
    if (next < untilMs) world.at(next, arrive);
  };
  world.at(1, rate === undefined ? sequential : arrive);
  world.run(Number.isFinite(untilMs) ? untilMs + 10_000 : 1e9);
  return sent;
}

/** What servers say: nothing, that nothing waits, and that their thread is idle. */
const words: readonly (ServerLoad | undefined)[] = [
  undefined,
  { backlogMs: 0, serviceMs: 0.3 },
  { backlogMs: 0, serviceMs: 0.3, perSecond: 100 },
];
const word = fc.constantFrom(...words);
const seed = fc.integer({ min: 1, max: 1e6 });

describe('standardBalancer, one call at a time', () => {
  it('sends four of five calls to the quick ones after 200, whoever was called first', () => {
    fc.assert(
      fc.property(
        // One quick endpoint of two dozen, or less than 10 ms, takes longer than 200 calls to be found.
        fc.integer({ min: 2, max: 12 }),
        fc.integer({ min: 1, max: 11 }),
        fc.integer({ min: 10, max: 100 }),
        fc.double({ min: 3, max: 50, noNaN: true }),
        word,
        seed,
        (count, quick, quickMs, factor, load, seed) => {
          const isQuick = (server: number) => server < Math.min(quick, count - 1);
          const sent = play({
            balancer: standardBalancer({ random: seededRandom(seed) }),
            count,
            latencyMs: (server, _now, random) =>
              lognormal(random, isQuick(server) ? quickMs : factor * quickMs, 0.15),
            load,
            seed,
            calls: 600,
          });
          const late = sent.slice(200);
          const share = late.filter(({ server }) => isQuick(server)).length / late.length;
          expect(share).toBeGreaterThanOrEqual(0.8);
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([2, 3, 5])('spreads them evenly over %i that are equal', (count) => {
    for (const [at, load] of words.entries()) {
      for (let seed = 1; seed <= 5; seed++) {
        const sent = play({
          balancer: standardBalancer({ random: seededRandom(100 * at + seed) }),
          count,
          latencyMs: (_server, _now, random) => lognormal(random, 20, 0.3),
          load,
          seed,
          calls: 1000,
        });
        const counts = endpoints(count).map(
          ({ id }) => sent.filter(({ server }) => `${server}` === id).length,
        );
        expect(Math.max(...counts) / Math.min(...counts)).toBeLessThanOrEqual(1.5);
      }
    }
  });
});

describe('standardBalancer, when an endpoint has recovered', () => {
  const ill = { from: 20_000, until: 40_000 };
  const cells = [3, 30].flatMap((count) =>
    [30, 300].flatMap((rate) =>
      (['fails', 'slow'] as const).flatMap((how) => words.map((load) => ({ count, rate, how, load }))),
    ),
  );
  const recovered = ({ count, rate, how, load }: (typeof cells)[number], seed: number): Sent[] =>
    play({
      balancer: standardBalancer({ random: seededRandom(seed) }),
      count,
      latencyMs: (server, now, random) => {
        const slow = how === 'slow' && server === 0 && now >= ill.from && now < ill.until;
        return lognormal(random, slow ? 200 : 10, 0.2);
      },
      outcome: (server, now) =>
        how === 'fails' && server === 0 && now >= ill.from && now < ill.until ? 'failure' : 'success',
      load,
      seed,
      rate,
      untilMs: 70_000,
    });

  it.each(cells)('calls it again: %j', (cell) => {
    const sent = recovered(cell, 1);
    const meanwhile = sent.filter(({ at }) => at >= ill.from && at < ill.until);
    // Less than a fifth of its fair share, or hardly any.
    const bad = meanwhile.filter(({ server }) => server === 0).length / meanwhile.length;
    expect(bad).toBeLessThan(Math.max(0.02, 0.2 / cell.count));
    const again = sent.filter(({ at }) => at >= ill.until + 15_000);
    const share = again.filter(({ server }) => server === 0).length / again.length;
    expect(share).toBeGreaterThan(0.5 / cell.count);
  });
});
