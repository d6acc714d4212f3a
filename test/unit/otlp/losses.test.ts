import { Losses } from 'keelson/otlp';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

function setUp(warn?: (line: string) => void, elsewhere?: () => Record<string, number>) {
  const clock = manualClock();
  const lines: string[] = [];
  const losses = new Losses({
    what: 'spans',
    clock,
    intervalMs: 60_000,
    elsewhere,
    warn: warn ?? ((line) => lines.push(line)),
  });
  return { clock, lines, losses };
}

describe('Losses', () => {
  it('counts by reason, and says it in one line', async () => {
    const { clock, lines, losses } = setUp();
    losses.add('queue_full', 3);
    losses.add('rejected', 2, 'HTTP 400 bad data');
    losses.add('queue_full', 4);
    expect(losses.counts).toMatchObject({ queue_full: 7, rejected: 2, shutdown: 0 });
    await clock.advance(999);
    expect(lines).toEqual([]);
    await clock.advance(1);
    expect(lines).toEqual(['keelson: 9 spans lost (queue_full 7, rejected 2); last: HTTP 400 bad data']);
  });

  it('says one line an interval, however much is lost, and none when nothing is', async () => {
    const { clock, lines, losses } = setUp();
    for (let second = 0; second < 180; second++) {
      losses.add('queue_full', 10);
      await clock.advance(1_000);
    }
    expect(lines.length).toBe(3);
    await clock.advance(3_600_000);
    expect(lines.length).toBe(4);
    const said = lines.map((line) => Number(/(\d+) spans/.exec(line)?.[1]));
    expect(said.reduce((sum, spans) => sum + spans, 0)).toBe(1_800);
  });

  it('says what is lost elsewhere in the same line', async () => {
    const counts = { trace_limit: 0, queue_full: 0 };
    const { clock, lines, losses } = setUp(undefined, () => ({ ...counts }));
    losses.watch();
    expect(losses.all).toMatchObject({ trace_limit: 0, queue_full: 0, rejected: 0 });
    await clock.advance(90_000);
    expect(lines).toEqual([]);
    counts.trace_limit = 5;
    losses.add('queue_full', 1);
    counts.queue_full = 2;
    await clock.advance(1_000);
    expect(lines).toEqual(['keelson: 8 spans lost (queue_full 3, trace_limit 5)']);
    expect(losses.all).toMatchObject({ trace_limit: 5, queue_full: 3 });
    expect(losses.counts).toMatchObject({ queue_full: 1 });
    // Nobody tells of it; it is looked for.
    counts.trace_limit = 6;
    await clock.advance(58_000);
    expect(lines.length).toBe(1);
    await clock.advance(62_000);
    expect(lines.slice(1)).toEqual(['keelson: 1 spans lost (trace_limit 1)']);
    counts.trace_limit = 9;
    losses.close();
    expect(lines.slice(2)).toEqual(['keelson: 3 spans lost (trace_limit 3)']);
    expect(clock.pending).toBe(0);
  });

  it('says what is left at the end, once', () => {
    const { lines, losses } = setUp();
    losses.add('shutdown', 1);
    losses.tell();
    losses.tell();
    expect(lines).toEqual(['keelson: 1 spans lost (shutdown 1)']);
  });

  it('cleans what comes from the network', () => {
    const { lines, losses } = setUp();
    losses.add('rejected', 1, `a\r\nforged: line\u001b[31m ${'x'.repeat(1_000)}`);
    losses.tell();
    expect(lines[0]).toMatch(/last: a forged: line \[31m x+…$/);
    expect(lines[0]?.length).toBeLessThan(300);
  });

  it('does not mind numbers that are none, nor a log that throws', () => {
    const { losses } = setUp(() => {
      throw new Error('no log');
    });
    losses.add('rejected', 0);
    losses.add('rejected', -1);
    losses.add('rejected', Number.NaN);
    losses.add('rejected', 1);
    expect(() => losses.tell()).not.toThrow();
    expect(losses.counts.rejected).toBe(1);
  });
});
