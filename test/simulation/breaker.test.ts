import { type Breaker, sre, threshold } from 'keelson/breaker';
import type { Outcome, Permit, Random } from 'keelson/core';
import { seededRandom } from 'keelson/testing';
import { beforeAll, describe, expect, it } from 'vitest';

// A caller of 1000 calls per second, evenly spaced, and a callee that answers after 20 ms. Time is virtual.

const latencyMs = 20;
const perSecond = 1000;

interface Second {
  sent: number;
  refused: number;
  succeeded: number;
}

/** How the callee answers a call that was sent at `now`. */
type Callee = (now: number) => Outcome;

function simulate(breaker: Breaker, callee: Callee, seconds: number): Second[] {
  const record = Array.from({ length: seconds }, () => ({ sent: 0, refused: 0, succeeded: 0 }));
  const flying: (Permit | undefined)[] = new Array(latencyMs).fill(undefined);
  const answers: Outcome[] = new Array(latencyMs).fill('ignored');
  for (let now = 0; now < seconds * perSecond; now++) {
    // One call per ms, and all take equally long: the ring's next place holds the one that ends now.
    const place = now % latencyMs;
    flying[place]?.release(answers[place] as Outcome, now);
    flying[place] = undefined;
    const second = record[Math.floor(now / perSecond)] as Second;
    const permit = breaker.tryAcquire(now);
    if (permit === null) {
      second.refused++;
      continue;
    }
    const answer = callee(now);
    flying[place] = permit;
    answers[place] = answer;
    second.sent++;
    if (answer === 'success') second.succeeded++;
  }
  for (const [place, permit] of flying.entries())
    permit?.release(answers[place] as Outcome, seconds * perSecond);
  return record;
}

function sum(record: readonly Second[], [from, to]: readonly [number, number]): Second {
  const total = { sent: 0, refused: 0, succeeded: 0 };
  for (const second of record.slice(from, to)) {
    total.sent += second.sent;
    total.refused += second.refused;
    total.succeeded += second.succeeded;
  }
  return total;
}

const flaky =
  (errorRatio: number, random: Random): Callee =>
  () =>
    random() < errorRatio ? 'failure' : 'success';

/** Answers so many a second, evenly, and sheds the rest. */
function limited(capacity: number): Callee {
  let freeAt = 0;
  return (now) => {
    if (now < freeAt) return 'overload';
    freeAt = Math.max(freeAt + 1000 / capacity, now);
    return 'success';
  };
}

const dead: Callee = () => 'failure';

describe('sre over a million calls', () => {
  const random = seededRandom(2026);
  const phases: readonly (readonly [until: number, callee: Callee])[] = [
    [300, flaky(0.01, random)],
    [600, flaky(0.3, random)],
    [660, flaky(0, random)],
    [680, dead],
    [800, flaky(0.01, random)],
    [1000, limited(250)],
  ];
  const breaker = sre({ random: seededRandom(1) });
  let record: Second[] = [];

  beforeAll(() => {
    let phase = 0;
    const callee: Callee = (now) => {
      while (now >= (phases[phase]?.[0] as number) * 1000) phase++;
      return phases[phase]?.[1](now) as Outcome;
    };
    record = simulate(breaker, callee, 1000);
  });

  it('made a million calls, and holds none of them', () => {
    const { sent, refused } = sum(record, [0, 1000]);
    expect(sent + refused).toBe(1_000_000);
    expect(breaker.snapshot(1_000_000).inflight).toBe(0);
  });

  it('refuses nothing at 1 % errors', () => {
    // More than half of 200 have to fail: exp(-200 * D(0.5 || 0.01)) = exp(-200 * 1.61) < 1e-139 for a window.
    expect(sum(record, [0, 300]).refused).toBe(0);
  });

  it('refuses nothing in a brown-out of 30 % errors', () => {
    // exp(-200 * D(0.5 || 0.3)) = exp(-200 * 0.0872) = 2.7e-8 for a window; for 300 000 windows under 1 %.
    expect(sum(record, [300, 600]).refused).toBe(0);
  });

  it('wastes little on a callee that is down', () => {
    // In flight when it begins: 20. Until half of at most 222 failed: 111, noticed 20 calls late. While the chance to
    // pass then falls from 1 to 0, half of another 111. Until the end 1 of at least 201: 20 000 / 201 = 100, and four
    // deviations of 10 above. Together 20 + 111 + 20 + 56 + 140 = 347.
    const { sent } = sum(record, [660, 680]);
    expect(sent).toBeLessThan(350);
    // Fewer than that would mean that it does not probe: 100 less four deviations.
    expect(sent).toBeGreaterThan(111 + 60);
  });

  it('is back soon after its return', () => {
    // The first probe takes 222 calls in the mean, less than 5 times that in 99 %. From then on each success among R
    // lets 2 / R more calls pass: e-fold each 111 calls, ln(111) = 4.7 of them, and 20 calls of latency each.
    // Together 1110 + 4.7 * 131 = 1726 calls, below 2 s.
    expect(sum(record, [682, 683]).succeeded).toBeGreaterThanOrEqual(950);
    expect(sum(record, [683, 800]).refused).toBe(0);
  });

  it('sends an overloaded callee k times what it can do, and lets it do all of that', () => {
    // Where 1 - P = k * accepts / requests of the calls are sent, k are sent for each accept: 500 of 1000. The chance
    // wavers with the 250 * 0.2 s = 50 accepts of its window, by 1 / sqrt(50) = 14 %, but evenly to both sides.
    const { sent, succeeded } = sum(record, [810, 1000]);
    expect(sent / succeeded).toBeGreaterThan(1.8);
    expect(sent / succeeded).toBeLessThan(2.2);
    // 250 a second in 190 seconds. What it can do goes to waste only while no call passes for more than the 4 ms of one
    // answer: with half of them passing, 0.5^4 of the time, for 2 ms of 4 in the mean: 3 %. Twice that, for the wavering.
    expect(succeeded / (250 * 190)).toBeGreaterThan(0.94);
  });
});

describe('sre', () => {
  it('makes no outage of a blip: 150 failures in a row cost fewer than 111 refusals', () => {
    // They fill 150 of at most 222 places: P = (222 - 2 * 72) / 223 = 0.35 at the worst, and falls as successes follow.
    // The next 222 requests push the failures out, and fewer than half of them are refused.
    const breaker = sre({ random: seededRandom(9) });
    const record = simulate(breaker, (now) => (now >= 10_000 && now < 10_150 ? 'failure' : 'success'), 20);
    expect(sum(record, [0, 20]).refused).toBeLessThan(111);
    expect(sum(record, [12, 20]).refused).toBe(0);
  });
});

describe('threshold over 200 000 calls', () => {
  const breaker = threshold({ random: seededRandom(4) });
  let record: Second[] = [];

  beforeAll(() => {
    const well = flaky(0.01, seededRandom(5));
    record = simulate(breaker, (now) => (now >= 60_000 && now < 80_000 ? 'failure' : well(now)), 200);
  });

  it('refuses nothing at 1 % errors', () => {
    expect(sum(record, [0, 60]).refused).toBe(0);
  });

  it('wastes half of its window on a callee that is down, then only probes', () => {
    // Half of 10 s, which moves by 1 s: at most 5000 calls, and 20 in flight twice. It opens at about 65 s, for 5 to
    // 6 s, 10 to 12 s and 20 to 24 s: probes at about 70 and 81 s, three at a time.
    const { sent } = sum(record, [60, 80]);
    expect(sent).toBeLessThanOrEqual(5000 + 40 + 3 * 2);
    expect(sent).toBeGreaterThan(4000);
  });

  it('is back after its open time at the latest', () => {
    // Opened again at the latest at 80 s, for at most 12 s: the second of its open times, since the first ends by 72.
    expect(sum(record, [93, 200]).refused).toBe(0);
    expect(breaker.snapshot(200_000)).toMatchObject({ state: 'closed', inflight: 0 });
  });
});
