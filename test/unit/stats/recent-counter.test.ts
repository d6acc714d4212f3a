import { RecentCounter, RollingCounter } from 'keelson/stats';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

const read = (counter: RecentCounter, now: number) => {
  counter.advance(now);
  return [counter.marks, counter.hits];
};

describe('RecentCounter', () => {
  it('without a bound on marks is a RollingCounter of two channels', () => {
    const recent = new RecentCounter(1000, 10, Number.POSITIVE_INFINITY);
    const rolling = new RollingCounter(1000, 10, 2);
    const random = seededRandom(7);
    let now = -3000;
    for (let i = 0; i < 20_000; i++) {
      const dice = random();
      now += dice < 0.001 ? 2500 : dice < 0.002 ? -300 : dice < 0.0025 ? -1500 : random() * 20;
      const hit = random() < 0.4;
      recent.add(now, hit);
      rolling.add(now, 0);
      if (hit) rolling.add(now, 1);
      expect([recent.marks, recent.hits]).toEqual([rolling.total(now, 0), rolling.total(now, 1)]);
    }
  });

  it.each([0, 0.5, 1, 7.9, 8, 9, 11, 18, 20])(
    'keeps the newest 40 and less than 10 more, %d ms apart',
    (apart) => {
      const counter = new RecentCounter(1000, 5, 40);
      const marks: { hit: boolean; now: number }[] = [];
      for (let i = 0; i < 2000; i++) {
        const mark = { hit: (i * 7) % 3 === 0, now: i * apart };
        marks.push(mark);
        counter.add(mark.now, mark.hit);
        expect(counter.hits).toBe(marks.slice(marks.length - counter.marks).filter(({ hit }) => hit).length);
        expect(counter.marks).toBeLessThan(50);
        const young = marks.slice(-41).filter(({ now }) => now > mark.now - 800).length;
        expect(counter.marks).toBeGreaterThanOrEqual(Math.min(young, 40));
      }
    },
  );

  it('forgets the oldest first', () => {
    const counter = new RecentCounter(1000, 5, 40);
    for (let i = 0; i < 100; i++) counter.add(0, true);
    for (let i = 0, before = counter.hits; i < 49; i++, before = counter.hits) {
      counter.add(0, false);
      expect(counter.hits).toBeLessThanOrEqual(before);
    }
    expect(counter.hits).toBe(0);
  });

  it('lets full parts of one moment go together when their time is over', () => {
    const counter = new RecentCounter(1000, 5, 40);
    for (let i = 0; i < 45; i++) counter.add(100, true);
    counter.add(300, false);
    expect(read(counter, 999)).toEqual([46, 45]);
    expect(read(counter, 1000)).toEqual([1, 0]);
    expect(read(counter, 1200)).toEqual([0, 0]);
    counter.add(1200, true);
    expect(read(counter, 1200)).toEqual([1, 1]);
  });

  it('counts on after a small step back, begins anew after one of a window, ignores what is no time', () => {
    const counter = new RecentCounter(1000, 10, 100);
    counter.add(5000, true);
    counter.add(4500, false);
    expect(read(counter, 4500)).toEqual([2, 1]);
    expect(read(counter, Number.NaN)).toEqual([2, 1]);
    counter.add(Number.POSITIVE_INFINITY, false);
    expect(read(counter, 5999)).toEqual([3, 1]);
    counter.add(100, true);
    expect(read(counter, 100)).toEqual([1, 1]);
    expect(read(counter, 1099)).toEqual([1, 1]);
    expect(read(counter, 1100)).toEqual([0, 0]);
  });

  it('takes a mark before it was ever told a time that is one', () => {
    const counter = new RecentCounter(1000, 10, 100);
    counter.add(Number.NaN, true);
    expect([counter.marks, counter.hits]).toEqual([1, 1]);
    expect(read(counter, 0)).toEqual([0, 0]);
  });

  it('forgets everything when it is reset', () => {
    const counter = new RecentCounter(1000, 2, 10);
    for (let i = 0; i < 33; i++) counter.add(i * 40, true);
    counter.reset();
    expect(read(counter, 1300)).toEqual([0, 0]);
    counter.add(1300, true);
    expect(read(counter, 1999)).toEqual([1, 1]);
    expect(read(counter, 2000)).toEqual([0, 0]);
  });
});
