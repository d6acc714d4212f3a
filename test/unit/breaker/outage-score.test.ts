import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { limitOf, OutageScore } from '../../../src/breaker/outage-score.js';

/** So many failures in a row are an outage where such a share is usual. */
function runAt(usual: number): number {
  const score = new OutageScore(limitOf(5));
  score.usual = usual;
  let failures = 1;
  while (!score.failed(0)) failures++;
  return failures;
}

describe('an outage score', () => {
  it.each([2, 3, 5, 20, 100])('has a limit that %d failures in a row reach, and no fewer', (failures) => {
    const score = new OutageScore(limitOf(failures));
    for (let nth = 1; nth < failures; nth++) expect(score.failed(0)).toBe(false);
    expect(score.failed(0)).toBe(true);
  });

  it.each([0.01, 0.05, 0.1, 0.2, 0.3, 0.4])('is wrong as seldom whatever is usual: %d', (usual) => {
    // The chance of such a run; of ten million calls in an hour hardly one begins it.
    expect(usual ** runAt(usual)).toBeLessThan(3e-9);
  });

  it('learns what is usual, between one in a hundred and half', () => {
    const score = new OutageScore(Number.POSITIVE_INFINITY);
    for (let nth = 0; nth < 1000; nth++) score.failed(0);
    expect(score.usual).toBe(0.5);
    score.succeeded(10_000);
    expect(score.usual).toBe(0.01);
    for (let nth = 0; nth < 3000; nth++) {
      score.failed(0);
      score.succeeded(4);
    }
    expect(score.usual).toBeCloseTo(0.2, 1);
  });

  it('takes many successes at once for as many one by one', () => {
    const [once, each] = [new OutageScore(100), new OutageScore(100)];
    for (const score of [once, each]) for (let nth = 0; nth < 9; nth++) score.failed(0);
    once.succeeded(3);
    for (let nth = 0; nth < 3; nth++) each.succeeded(1);
    expect(once.value).toBeCloseTo(each.value, 9);
    expect(once.usual).toBeCloseTo(each.usual, 9);
    once.succeeded(1000);
    expect(once.value).toBe(0);
  });

  it('fades by time, not by a clock that steps back or says nothing', () => {
    const score = new OutageScore(100);
    score.failed(0);
    const { value } = score;
    score.failed(-1000);
    expect(score.value).toBeGreaterThan(value);
    const before = score.value;
    score.shed(29_000);
    expect(score.value).toBeCloseTo(before / Math.E + Math.log(0.99 / 0.5), 9);
    score.shed(Number.NaN);
    expect(score.value).toBeGreaterThan(0);
  });

  it('keeps what was shed in mind for as long as nothing else came', () => {
    const score = new OutageScore(limitOf(5));
    let nth = 1;
    while (!score.shed(nth * 60_000)) nth++;
    expect(nth).toBeLessThan(100);
    score.succeeded(20);
    expect(score.value).toBe(0);
  });

  it('forgets all, or only its doubt', () => {
    const score = new OutageScore(10);
    for (let nth = 0; nth < 50; nth++) score.failed(0);
    score.absolve();
    expect(score.value).toBe(0);
    expect(score.usual).toBeGreaterThan(0.3);
    score.doubt(0);
    expect(score.value).toBe(5);
    for (let nth = 0; nth < 50; nth++) score.shed(0);
    score.forget();
    expect([score.value, score.usual, score.usualShed]).toEqual([0, 0.01, 0.5]);
  });

  it('is raised by what is shed as long as nothing else comes, and never where that is usual', () => {
    const sheds = (until: OutageScore) => {
      let nth = 1;
      while (!until.shed(0)) nth++;
      return nth;
    };
    const score = new OutageScore(limitOf(5));
    expect(sheds(score)).toBeGreaterThan(50);
    expect(sheds(new OutageScore(limitOf(5)))).toBeLessThan(100);
    score.succeeded(10_000);
    expect(score.usualShed).toBe(0.5);
    // Nine of ten, in the worst order that is likely, and nineteen of twenty.
    for (const run of [9, 19]) {
      const one = new OutageScore(limitOf(5));
      for (let nth = 0; nth < 10_000; nth++) {
        if (nth % (run + 1) === 0) one.succeeded(1);
        else expect(one.shed(0)).toBe(false);
      }
      // It is not for ever: once it is all of them, and for long, it is down.
      expect(sheds(one)).toBeLessThan(400);
    }
  });
});
