import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { Output } from '../../../src/connect/output.js';

/** A handler whose messages come when the test says so. */
function scene() {
  const clock = manualClock();
  const told: unknown[] = [];
  const asked: { resolve(result: IteratorResult<object>): void; reject(error: unknown): void }[] = [];
  let returned = 0;
  const inner: AsyncIterator<object> = {
    next: () => new Promise((resolve, reject) => asked.push({ resolve, reject })),
    return: async () => {
      returned++;
      return { done: true, value: undefined };
    },
  };
  const output = new Output(inner, {
    clock,
    abandonedMs: 100,
    within: (run) => run(),
    left: () => 'left',
    ended: (error) => told.push(['ended', error]),
    failedLate: (error) => told.push(['late', error]),
  });
  const give = (value: object | undefined) =>
    asked.shift()?.resolve(value === undefined ? { done: true, value } : { done: false, value });
  const fail = (error: unknown) => asked.shift()?.reject(error);
  const begun = async () => {
    const beginning = output.begin();
    give({ at: 1 });
    await beginning;
  };
  return { clock, told, output, give, fail, begun, returned: () => returned };
}

const over = { done: true, value: undefined };
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('the messages of a handler', () => {
  it('pass, and are over with the last', async () => {
    const { output, give, begun, told, returned } = scene();
    await begun();
    expect(await output.next()).toEqual({ done: false, value: { at: 1 } });
    const second = output.next();
    give({ at: 2 });
    expect(await second).toEqual({ done: false, value: { at: 2 } });
    expect(told).toEqual([]);
    const last = output.next();
    give(undefined);
    expect(await last).toEqual(over);
    expect(told).toEqual([['ended', undefined]]);
    output.leave('late');
    expect(await output.return()).toEqual(over);
    expect(await output.next()).toEqual(over);
    expect([told.length, returned()]).toEqual([1, 0]);
  });

  it('may be none', async () => {
    const { output, give, told } = scene();
    const beginning = output.begin();
    give(undefined);
    await beginning;
    expect(told).toEqual([['ended', undefined]]);
    expect(await output.next()).toEqual(over);
  });

  it('fail before the first, and after', async () => {
    const early = scene();
    const beginning = early.output.begin();
    early.fail('x');
    await expect(beginning).rejects.toBe('x');
    expect(early.told).toEqual([]);
    const later = scene();
    await later.begun();
    await later.output.next();
    const second = later.output.next();
    later.fail('y');
    await expect(second).rejects.toBe('y');
    expect(later.told).toEqual([['ended', 'y']]);
  });

  it.each(['leave', 'return', 'throw'] as const)('are ended where they stand: %s', async (how) => {
    const { output, begun, told, returned } = scene();
    await begun();
    await output.next();
    if (how === 'leave') output.leave('left');
    else expect(await output[how]('why')).toEqual(over);
    expect(told).toEqual([['ended', 'left']]);
    expect(returned()).toBe(1);
    expect(await output.next()).toEqual(over);
  });

  it('are no longer waited for, but count while the handler works', async () => {
    const { output, give, begun, told, returned, clock } = scene();
    await begun();
    await output.next();
    const second = output.next();
    output.leave('gone');
    await expect(second).rejects.toBe('gone');
    await clock.advance(99);
    expect(told).toEqual([]);
    give({ at: 2 });
    await settle();
    expect(told).toEqual([['ended', 'gone']]);
    expect(returned()).toBe(1);
  });

  it('count no longer than that', async () => {
    const { output, fail, begun, told, clock } = scene();
    await begun();
    await output.next();
    const second = output.next();
    output.leave('gone');
    await expect(second).rejects.toBe('gone');
    await clock.advance(100);
    expect(told).toEqual([['ended', 'gone']]);
    fail('at last');
    await settle();
    expect(told).toEqual([
      ['ended', 'gone'],
      ['late', 'at last'],
    ]);
  });
});
