import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

describe('manual clock', () => {
  it('stands still, on both scales, until it is moved', async () => {
    const clock = manualClock(5, 1_000);
    expect([clock.now(), clock.wallMs()]).toEqual([5, 1_000]);
    await clock.advance(10);
    expect([clock.now(), clock.wallMs()]).toEqual([15, 1_010]);
    clock.advanceSync(0.5);
    expect([clock.now(), clock.wallMs()]).toEqual([15.5, 1_010.5]);
  });

  it.each(['advance', 'advanceSync'] as const)(
    '%s runs what falls due in order of time, then of asking',
    async (how) => {
      const clock = manualClock();
      const ran: [string, number][] = [];
      const note = (name: string) => () => void ran.push([name, clock.now()]);
      clock.after(20, note('c'));
      clock.after(10, note('a'));
      clock.after(10, note('b'));
      clock.after(21, note('later'));
      clock.after(-5, note('overdue'));
      clock.after(15, () => {
        note('parent')();
        clock.after(3, note('child'));
        clock.after(30, note('late child'));
      });
      await clock[how](20);
      expect(ran).toEqual([
        ['overdue', 0],
        ['a', 10],
        ['b', 10],
        ['parent', 15],
        ['child', 18],
        ['c', 20],
      ]);
      expect([clock.now(), clock.pending]).toEqual([20, 2]);
    },
  );

  it('forgets what is cancelled, before and after it ran, and from within another', () => {
    const clock = manualClock();
    let ran = 0;
    const timer = clock.after(1, () => ran++);
    const other = clock.after(2, () => ran++);
    clock.after(1, () => other.cancel());
    clock.advanceSync(5);
    timer.cancel();
    other.cancel();
    expect([ran, clock.pending]).toEqual([1, 0]);
  });

  it('lets chains of promises run out between two timers, however long', async () => {
    const clock = manualClock();
    const seen: number[] = [];
    const chain = async (): Promise<void> => {
      for (let step = 0; step < 1_000; step++) await undefined;
      seen.push(clock.now());
    };
    void chain();
    clock.after(10, () => void chain());
    clock.after(20, () => undefined);
    await clock.advance(30);
    expect(seen).toEqual([0, 10]);
  });

  it('is never set back by a move within a move', async () => {
    const clock = manualClock();
    clock.after(5, () => clock.advanceSync(100));
    clock.advanceSync(10);
    expect(clock.now()).toBe(105);
    clock.after(5, () => void clock.advance(100));
    await clock.advance(10);
    expect(clock.now()).toBe(210);
  });

  it('can be set back, as a clock that is corrected', () => {
    const clock = manualClock(100);
    let ran = false;
    clock.after(10, () => {
      ran = true;
    });
    clock.advanceSync(-50);
    expect([clock.now(), ran]).toEqual([50, false]);
    clock.advanceSync(60);
    expect([clock.now(), ran]).toEqual([110, true]);
  });
});
