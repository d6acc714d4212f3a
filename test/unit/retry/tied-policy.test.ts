import type { ServerLoad } from 'keelson/core';
import { type TiedPolicyOptions, tiedPolicy } from 'keelson/retry';
import { describe, expect, it } from 'vitest';

const busy: ServerLoad = { backlogMs: 20, serviceMs: 3, perSecond: 300 };
const at = 1000;

/** A policy that knows one endpoint, a millisecond away. */
function knowing(load: ServerLoad | undefined, options?: TiedPolicyOptions, afterMs = 1) {
  const policy = tiedPolicy(options);
  policy.started('a', afterMs, at);
  if (load !== undefined) policy.reported('a', load, at);
  return policy;
}

describe('tiedPolicy', () => {
  it.each<{
    name: string;
    load: ServerLoad | undefined;
    options?: TiedPolicyOptions;
    afterMs?: number;
    now?: number;
    delayMs: number | undefined;
  }>([
    { name: 'one and a half round trips to a busy endpoint', load: busy, delayMs: 1.5 },
    { name: 'no less than the least delay', load: busy, afterMs: 0.05, delayMs: 0.2 },
    { name: 'what is asked for', load: busy, options: { delayMs: 4 }, delayMs: 4 },
    { name: 'nothing known without a report', load: undefined, delayMs: undefined },
    { name: 'nothing known by an old report', load: busy, now: at + 10_001, delayMs: undefined },
    { name: 'a report that says nothing of use', load: { inflight: 3 }, delayMs: undefined },
    {
      name: 'short calls',
      load: { ...busy, serviceMs: 0.4, perSecond: 2400 },
      delayMs: Number.POSITIVE_INFINITY,
    },
    { name: 'idle endpoints', load: { ...busy, perSecond: 160 }, delayMs: Number.POSITIVE_INFINITY },
    {
      name: 'idle endpoints that stood still',
      load: { ...busy, perSecond: 160, backlogMs: 25 },
      delayMs: 1.5,
    },
    { name: 'half busy ones', load: { ...busy, perSecond: 167 }, delayMs: 1.5 },
    { name: 'busy by their CPU', load: { backlogMs: 20, cpuRatio: 0.6 }, delayMs: 1.5 },
    { name: 'idle by their CPU', load: { backlogMs: 20, cpuRatio: 0.4 }, delayMs: Number.POSITIVE_INFINITY },
    { name: 'a backlog and nothing else', load: { backlogMs: 20 }, delayMs: 1.5 },
    { name: 'no backlog and nothing else', load: { backlogMs: 0 }, delayMs: Number.POSITIVE_INFINITY },
    {
      name: 'an old backlog, when nothing is known of arrivals',
      load: { backlogMs: 20 },
      now: at + 19,
      delayMs: Number.POSITIVE_INFINITY,
    },
    { name: 'the wait that such a load has by itself', load: { ...busy, backlogMs: 0 }, delayMs: 1.5 },
    {
      name: 'a wait that is shorter than the way',
      load: { ...busy, backlogMs: 0, perSecond: 200 },
      afterMs: 5,
      delayMs: Number.POSITIVE_INFINITY,
    },
    { name: 'a server at its limit', load: { ...busy, perSecond: 10_000 }, delayMs: 1.5 },
    {
      name: 'numbers that are none',
      load: { backlogMs: Number.NaN, serviceMs: -1, perSecond: 1 },
      delayMs: undefined,
    },
    { name: 'a round trip that is none', load: busy, afterMs: Number.NaN, delayMs: Number.POSITIVE_INFINITY },
    { name: 'a clock that stepped back', load: busy, now: at - 5000, delayMs: 1.5 },
  ])('$name: $delayMs', ({ load, options, afterMs, now = at, delayMs }) => {
    expect(knowing(load, options, afterMs).delayMs('a', now)).toBe(delayMs);
  });

  it('takes the least round trip of the last two windows', () => {
    const policy = knowing(busy, {}, 4);
    policy.started('a', 1, at + 10);
    policy.started('a', 30, at + 20);
    expect(policy.delayMs('a', at + 30)).toBe(1.5);
    policy.started('a', 3, at + 11_000);
    policy.reported('a', busy, at + 11_000);
    expect(policy.delayMs('a', at + 11_000)).toBe(1.5);
    policy.started('a', 5, at + 22_000);
    policy.reported('a', busy, at + 22_000);
    expect(policy.delayMs('a', at + 22_000)).toBe(4.5);
  });

  it('knows nothing of an endpoint that answered without a word of its start, until it tells again', () => {
    const policy = knowing(busy);
    policy.silent('a');
    policy.silent('nobody');
    expect([policy.delayMs('a', at), policy.tells('a'), policy.tells('nobody')]).toEqual([
      undefined,
      false,
      false,
    ]);
    policy.started('a', 1, at);
    expect(policy.delayMs('a', at)).toBe(1.5);
  });

  it('forgets the endpoint that it heard of first when there are too many', () => {
    const policy = tiedPolicy();
    for (let n = 0; n <= 4096; n++) policy.started(String(n), 1, at);
    expect([policy.tells('0'), policy.tells('1'), policy.tells('4096')]).toEqual([false, true, true]);
  });

  /** Second copies of so many calls, each of which turns out to run twice with a likelihood. */
  function copies(options: TiedPolicyOptions, calls: number, likely: number): number {
    const policy = tiedPolicy(options);
    let made = 0;
    for (let n = 0; n < calls; n++) {
      policy.called();
      if (!policy.withdraw()) continue;
      made++;
      policy.duplicated(likely);
    }
    return made;
  }

  it.each<[string, TiedPolicyOptions, number, number, number]>([
    ['all, while nothing runs twice', {}, 0, 1000, 1000],
    // 5 to begin with, then a twentieth of the calls.
    ['as few as run twice at most', {}, 1, 54, 56],
    ['twice as many when one in two runs twice', {}, 0.5, 108, 112],
    ['a part', { maxCopyRatio: 0.1 }, 0, 104, 106],
    ['none', { maxCopyRatio: 0 }, 0, 0, 0],
    ['none that could run twice', { maxDuplicateRatio: 0 }, 1, 0, 0],
    ['what is no likelihood counts for nothing', {}, Number.NaN, 1000, 1000],
  ])('sends second copies: %s', (_name, options, likely, least, most) => {
    const made = copies(options, 1000, likely);
    expect(made).toBeGreaterThanOrEqual(least);
    expect(made).toBeLessThanOrEqual(most);
  });

  it('sends again when calls have paid for what ran twice', () => {
    const policy = tiedPolicy();
    for (let n = 0; n < 100; n++) policy.duplicated();
    expect(policy.withdraw()).toBe(false);
    for (let n = 0; n < 399; n++) policy.called();
    expect(policy.withdraw()).toBe(false);
    for (let n = 0; n < 3; n++) policy.called();
    expect(policy.withdraw()).toBe(true);
  });

  it('takes a copy for started by the part that the way back is of its wait', () => {
    expect(knowing({ backlogMs: 9, serviceMs: 3, perSecond: 100 }).likelyStarted('a', at)).toBeCloseTo(0.1);
    expect(knowing({ backlogMs: 0 }).likelyStarted('a', at)).toBe(1);
    expect(tiedPolicy().likelyStarted('a', at)).toBe(1);
    expect(knowing(busy, {}, Number.NaN).likelyStarted('a', at)).toBe(1);
  });

  it.each<[string, object, typeof RangeError | typeof TypeError]>([
    ['a delay below 0', { delayMs: -1 }, RangeError],
    ['a part above 1', { maxDuplicateRatio: 1.1 }, RangeError],
    ['a load above 1', { minLoadRatio: 2 }, RangeError],
    ['no number', { minServiceMs: '1' }, TypeError],
    ['no option', { ratio: 1 }, TypeError],
  ])('refuses %s', (_name, options, kind) => {
    expect(() => tiedPolicy(options)).toThrow(kind);
  });
});
