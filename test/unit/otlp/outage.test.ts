import { Outage } from 'keelson/otlp';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

function setUp() {
  const clock = manualClock();
  const lines: string[] = [];
  const outage = new Outage({ clock, intervalMs: 60_000, warn: (line) => lines.push(line) });
  /** Fails once a second. */
  const failing = (seconds: number): void => {
    for (let at = 0; at < seconds; at++) {
      outage.failed(`ECONNREFUSED\nat ${at}`, 7);
      clock.advanceSync(1_000);
    }
  };
  return { clock, lines, outage, failing };
}

describe('Outage', () => {
  it('is told of once, after half a minute', () => {
    const { lines, failing } = setUp();
    failing(30);
    expect(lines).toEqual([]);
    failing(600);
    expect(lines).toEqual([
      'keelson: no spans have got to the collector for 30 s, 7 wait; last: ECONNREFUSED at 0',
    ]);
  });

  it('begins anew after a success, and is told of once an interval at most', () => {
    const { lines, outage, failing } = setUp();
    for (let round = 0; round < 6; round++) {
      failing(31);
      outage.succeeded();
    }
    // At 31, 93 and 155 s: others are less than a minute after one of these.
    expect(lines.length).toBe(3);
    expect(outage.why).toBe('');
  });

  it('is told of at the end when there is one that nobody has heard of', () => {
    const { lines, outage, failing } = setUp();
    outage.tell(1);
    failing(3);
    expect(outage.why).toContain('ECONNREFUSED');
    outage.tell(9);
    outage.tell(9);
    expect(lines).toEqual([expect.stringContaining('for 3 s, 9 wait')]);
  });

  it('does not mind a log that throws', () => {
    const clock = manualClock();
    const warn = (): void => {
      throw new Error('no log');
    };
    const outage = new Outage({ clock, intervalMs: 60_000, warn });
    outage.failed('x', 1);
    expect(() => outage.tell(1)).not.toThrow();
  });
});
