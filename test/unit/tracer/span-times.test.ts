import { ROOT_CONTEXT } from '@opentelemetry/api';
import type { Clock } from 'keelson/core';
import { describe, expect, it } from 'vitest';
import { tracedHere } from '../../doubles/traced-here.js';

/** A clock whose wall can be set, apart from what is monotonic. */
function twoClocks(): Clock & { mono: number; wall: number } {
  return {
    mono: 100,
    wall: 1_000_000,
    now() {
      return this.mono;
    },
    wallMs() {
      return this.wall;
    },
    after: () => ({ cancel() {} }),
  };
}

const revoked = Proxy.revocable({}, {});
revoked.revoke();

const hostile = new Date(0);
hostile.getTime = () => {
  throw new Error('no');
};

describe('times of spans', () => {
  it.each([
    ['an hour back', -3_600_000],
    ['a year ahead', 365 * 86_400_000],
  ])('do not follow a wall clock that is set %s', (_, jump) => {
    const clock = twoClocks();
    const here = tracedHere({ clock });
    const root = here.start('root');
    clock.wall += jump;
    clock.mono += 10;
    const child = here.start('child', root);
    clock.mono += 5;
    child.addEvent('e');
    child.end();
    root.end();
    expect(here.span('child')).toMatchObject({ startedMs: 1_000_010, endedMs: 1_000_015 });
    expect(here.span('child').events[0]?.atMs).toBe(1_000_015);
    expect(here.span('root')).toMatchObject({ startedMs: 1_000_000, endedMs: 1_000_015 });
    // The next trace does.
    here.start('next').end();
    expect(here.span('next').startedMs).toBe(1_000_000 + jump);
  });

  it('follow it in a trace that goes on for long', () => {
    const clock = twoClocks();
    const here = tracedHere({ clock });
    const root = here.start('root');
    clock.mono += 120_000;
    clock.wall += 120_000 - 700;
    here.start('child', root).end();
    expect(here.span('child').startedMs).toBe(1_000_000 + 120_000 - 700);
    root.end();
    expect(here.span('root').duration).toEqual([120, 0]);
  });

  it('are never negative, even if the monotonic clock steps back', () => {
    const clock = twoClocks();
    const here = tracedHere({ clock });
    const span = here.start('x');
    clock.mono -= 1000;
    here.start('child', span).end();
    span.end();
    expect(here.span('x').duration).toEqual([0, 0]);
    expect(here.span('child').duration).toEqual([0, 0]);
  });

  it.each([
    ['a date', new Date(1_000_050), new Date(1_000_080), 1_000_050, 30],
    ['milliseconds since 1970', 1_000_050, 1_000_080.5, 1_000_050, 30.5],
    ['seconds and nanoseconds', [1000, 50e6], [1000, 80e6], 1_000_050, 30],
    ['the monotonic clock', 40, 70, 999_940, 30],
    ['an end before the start', 1_000_050, 1_000_040, 1_000_050, 0],
    ['a start alone', 1_000_000 - 500, undefined, 1_000_000 - 500, 600],
    ['an end alone', undefined, 1_000_030, 1_000_000, 30],
    ['nonsense', 'soon', 'later', 1_000_000, 100],
    ['no number', Number.NaN, Number.NaN, 1_000_000, 100],
    ['a broken date', new Date(Number.NaN), new Date('x'), 1_000_000, 100],
    ['no end', Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 1_000_000, 100],
    ['a pair that has none', [Number.POSITIVE_INFINITY, 0], [Number.POSITIVE_INFINITY, 0], 1_000_000, 100],
    ['a pair of nothing', [], ['a', 'b'], 1_000_000, 100],
    ['a time before 1970', new Date(-1), [-5, 0], 1_000_000, 100],
    ['a time that no field can hold', new Date(8.64e15), 1e300, 1_000_000, 100],
    ['what throws', revoked.proxy, hostile, 1_000_000, 100],
  ])('can be given: %s', (_, startTime, endTime, startedMs, lengthMs) => {
    const clock = twoClocks();
    const here = tracedHere({ clock });
    const options = startTime === undefined ? {} : { startTime: startTime as number };
    const span = here.provider.getTracer('t').startSpan('x', options, ROOT_CONTEXT);
    clock.mono += 100;
    span.end(endTime as number);
    expect(here.span('x').startedMs).toBeCloseTo(startedMs, 3);
    expect(here.span('x').endedMs - here.span('x').startedMs).toBeCloseTo(lengthMs, 3);
  });

  it('of events may be what throws as well', () => {
    const here = tracedHere({ clock: twoClocks() });
    here
      .start('x')
      .addEvent('a', revoked.proxy as never)
      .addEvent('b', {}, hostile)
      .addEvent('c', hostile)
      .end();
    expect(here.span('x').events.map(({ atMs }) => atMs)).toEqual([1_000_000, 1_000_000, 1_000_000]);
  });

  it('carry whole seconds over', () => {
    const clock = twoClocks();
    clock.wall = 1_999.9999999;
    const here = tracedHere({ clock });
    here.start('x').end();
    expect(here.span('x').startTime).toEqual([2, 0]);
  });
});
