import { type Call, createCall, nextNotice, startNotice } from 'keelson/core';
import { dispatchQueue } from 'keelson/limiter';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

describe('dispatchQueue', () => {
  it('says of a call that it is the next, and that it starts, to whoever wants to know', async () => {
    const clock = manualClock(1000);
    const turns: (() => void)[] = [];
    const queue = dispatchQueue({
      clock,
      turn: (run) => void turns.push(run),
      busyMs: () => Number.NaN,
      events: () => Number.NaN,
      sliceMs: 1,
    });
    const told: string[] = [];
    const handler = queue.middleware<string, string>()((request) => {
      told.push(`${request} runs`);
      clock.advanceSync(3);
      return Promise.resolve(request);
    });
    const call = (name: string): Call => {
      const made = createCall({ side: 'server', service: 'users', operation: 'GET' });
      made.values.set(nextNotice, () => void told.push(`${name} next`));
      made.values.set(startNotice, () => void told.push(`${name} starts`));
      return made;
    };
    const running = ['a', 'b', 'c'].map((name) => handler(name, call(name)));
    for (let turn = 0; turn < 10; turn++) {
      for (const run of turns.splice(0)) run();
      await clock.advance(0);
    }
    expect(await Promise.all(running)).toEqual(['a', 'b', 'c']);
    expect(told.filter((one) => one.endsWith('runs'))).toEqual(['a runs', 'b runs', 'c runs']);
    for (const name of ['b', 'c']) {
      const [next, starts, runs] = ['next', 'starts', 'runs'].map((what) => told.indexOf(`${name} ${what}`));
      expect(next).toBeGreaterThanOrEqual(0);
      expect(next).toBeLessThan(starts as number);
      expect(starts).toBeLessThan(runs as number);
    }
    // Told before the one ahead of it runs: afterwards it would be as late as the start itself.
    expect(told.indexOf('c next')).toBeLessThan(told.indexOf('b runs'));
  });
});
