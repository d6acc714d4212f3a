import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { ShedThrottle } from '../../../src/breaker/shed-throttle.js';

const settings = {
  k: 2,
  overloadK: 1.1,
  maxRequests: 200,
  windowMs: 5000,
  probeIntervalMs: 500,
  random: seededRandom(1),
};

/** Calls each millisecond, of which a part is taken in. @returns how many passed */
function ask(throttle: ShedThrottle, calls: number, part: (now: number) => number, from = 0): number {
  let passed = 0;
  for (let now = from; now < from + calls; now++) {
    if (!throttle.admit(now)) continue;
    passed++;
    throttle.answered(now, part(now));
  }
  return passed;
}

describe('a throttle', () => {
  it('takes no clock that stepped back for a word that still holds', () => {
    const throttle = new ShedThrottle(settings);
    throttle.answered(3_600_000, 0);
    throttle.stated(3_600_000);
    // Of three calls one is shed: too many only where the callee says so.
    for (let now = 0; now < 20_000; now += 10) throttle.answered(now, now % 30 ? 1 : 0);
    expect(throttle.ratio).toBe(0);
  });

  it.each([
    ['half of them, where the callee says nothing', 0.5, false, 1],
    ['a tenth, where it does not', 0.9, false, 1],
    ['a twentieth, where it does', 0.95, true, 1],
  ] as const)('lets all calls pass while as few are shed as %s', (_, part, states, share) => {
    const throttle = new ShedThrottle(settings);
    const passed = ask(throttle, 5000, (now) => {
      if (states) throttle.stated(now);
      return part;
    });
    expect(passed / 5000).toBe(share);
  });

  it('sends a tenth more than succeeds, evenly, to a callee that says that it sheds', () => {
    const throttle = new ShedThrottle(settings);
    let freeAt = 0;
    const gaps: number[] = [];
    let last = 0;
    let done = 0;
    for (let now = 0; now < 20_000; now++) {
      if (!throttle.admit(now)) continue;
      if (now > 10_000) gaps.push(now - last);
      last = now;
      throttle.stated(now);
      const taken = freeAt - now <= 4;
      if (taken) freeAt = Math.max(now, freeAt) + 4;
      if (taken && now > 10_000) done++;
      throttle.answered(now, taken ? 1 : 0);
    }
    // One in 4 ms is what it can do, and one may wait.
    expect(gaps.length / done).toBeLessThanOrEqual(1.12);
    expect(done).toBeGreaterThan(0.97 * 2500);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(12);
  });

  it('stops believing a statement that is a window old', () => {
    const throttle = new ShedThrottle(settings);
    throttle.stated(0);
    ask(throttle, 1000, () => 0.8);
    expect(throttle.ratio).toBeGreaterThan(0);
    ask(throttle, 5000, () => 0.8, 1000);
    expect(ask(throttle, 1000, () => 0.8, 6000)).toBe(1000);
  });

  it('takes many calls at once for as many one by one', () => {
    const [once, each] = [new ShedThrottle(settings), new ShedThrottle(settings)];
    for (const throttle of [once, each]) throttle.answered(0, 1);
    for (let now = 1; now <= 100; now++) each.answered(now, 1);
    once.calm(100, 100);
    expect(once.requests).toBeCloseTo(each.requests, -1);
    expect(once.successes).toBe(once.requests);
  });

  it('forgets by number and by time', () => {
    const throttle = new ShedThrottle(settings);
    for (let nth = 0; nth < 10_000; nth++) throttle.answered(0, 1);
    expect(throttle.requests).toBeLessThanOrEqual(400);
    throttle.calm(0, 1_000_000);
    expect(throttle.requests).toBe(200);
    throttle.fade(5000);
    expect(throttle.requests).toBeCloseTo(200 / Math.E, 6);
    throttle.fade(-1e9);
    expect(throttle.requests).toBeCloseTo(200 / Math.E, 6);
  });

  it('begins with a guess that a few calls overrule', () => {
    const throttle = new ShedThrottle(settings);
    throttle.begin(0, 0.1);
    expect(throttle.ratio).toBeGreaterThan(0.3);
    // A call in 10 ms, and more once none is shed.
    expect(ask(throttle, 100, () => 1)).toBeLessThanOrEqual(15);
    expect(ask(throttle, 3000, () => 1, 100)).toBeGreaterThan(2000);
    expect(throttle.ratio).toBe(0);
  });

  it('believes that there is room again once some calls in a row were let in without a word', () => {
    const throttle = new ShedThrottle(settings);
    throttle.begin(0, 0.1);
    for (let nth = 0; nth < 10; nth++) {
      throttle.retracted();
      throttle.answered(0, 1);
    }
    expect(throttle.ratio).toBeGreaterThan(0.2);
    throttle.retracted();
    throttle.answered(0, 1);
    expect(throttle.ratio).toBe(0);
  });

  it('gives a place back', () => {
    const throttle = new ShedThrottle({ ...settings, random: () => 0.99 });
    throttle.begin(0, 0.001);
    expect(throttle.admit(0)).toBe(false);
    throttle.refund();
    expect(throttle.admit(0)).toBe(true);
  });
});
