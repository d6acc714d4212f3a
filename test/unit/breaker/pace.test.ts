import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { Pace } from '../../../src/breaker/pace.js';

const settings = {
  probeIntervalMs: 100,
  jitterRatio: 0,
  probeTimeoutMs: 1000,
  windowMs: 400,
  growthFactor: 2,
  random: () => 0,
};

/** Down since 0. */
function begun(more: Partial<typeof settings> = {}): Pace {
  const pace = new Pace({ ...settings, ...more });
  pace.begin(0);
  return pace;
}

type Step =
  | [now: number, action: 'probe' | 'admit', passes: boolean]
  | [now: number, action: 'good' | 'bad' | 'back' | 'unsent'];

function play(pace: Pace, steps: readonly Step[]): void {
  for (const [now, action, passes] of steps) {
    if (action === 'probe') expect(pace.probe(now), `${action} at ${now}`).toBe(passes);
    else if (action === 'admit') expect(pace.admit(now), `${action} at ${now}`).toBe(passes);
    else if (action === 'good') pace.quicken();
    else if (action === 'bad') pace.slow();
    else if (action === 'back') pace.back();
    else pace.unsent();
  }
}

describe('a pace', () => {
  it('that is sparing lets one of ten find out, or one in a window', () => {
    const pace = new Pace(settings);
    pace.begin(0, true);
    const probed: number[] = [];
    const ask = (now: number) => {
      if (!pace.probe(now)) return;
      probed.push(now);
      pace.back();
    };
    for (let now = 1; now <= 200; now++) ask(now);
    expect(probed).toEqual([100, 200]);
    for (let now = 220; now <= 600; now += 20) ask(now);
    expect(probed.slice(2)).toEqual([400, 600]);
    for (let now = 700; now <= 1800; now += 100) ask(now);
    expect(probed.slice(4)).toEqual([1000, 1400, 1800]);
    // Back by an hour: no wait is longer for it.
    for (let now = -3_600_000; now <= -3_599_600; now += 100) ask(now);
    expect(probed.slice(7)).toEqual([-3_599_600]);
  });

  it('that is sparing gives the place back of a probe that was not sent', () => {
    const pace = new Pace(settings);
    pace.begin(0, true);
    expect(pace.probe(400)).toBe(true);
    pace.unsent();
    expect(pace.probe(401)).toBe(true);
    pace.back();
    expect(pace.probe(501)).toBe(false);
  });

  it.each<[string, Step[]]>([
    [
      'probes one at a time',
      [
        [99, 'probe', false],
        [100, 'probe', true],
        [300, 'probe', false],
        [301, 'back'],
        [301, 'probe', true],
      ],
    ],
    [
      'gives a probe up that hangs',
      [
        [100, 'probe', true],
        [1099, 'probe', false],
        [1100, 'probe', true],
      ],
    ],
    [
      'sends another in place of one that was not sent',
      [
        [100, 'probe', true],
        [100, 'unsent'],
        [100, 'probe', true],
      ],
    ],
    [
      'doubles with each success',
      [
        [100, 'probe', true],
        [100, 'good'],
        [149, 'admit', false],
        [150, 'admit', true],
        [150, 'good'],
        [174, 'admit', false],
        [175, 'admit', true],
      ],
    ],
    [
      'slows by a quarter for each failure, down to the interval',
      [
        [100, 'probe', true],
        [100, 'good'],
        [150, 'admit', true],
        [150, 'bad'],
        [200, 'admit', true],
        [262, 'admit', false],
        [263, 'admit', true],
        [263, 'bad'],
        [263, 'bad'],
        [263, 'bad'],
        [324, 'admit', false],
        [325, 'admit', true],
        [424, 'admit', false],
        [425, 'admit', true],
      ],
    ],
    [
      'is told the time by a clock that steps back',
      [
        [100, 'probe', true],
        [100, 'back'],
        [0, 'probe', false],
        [99, 'probe', false],
        [100, 'probe', true],
      ],
    ],
  ])('%s', (_, steps) => play(begun(), steps));

  it('takes as many successes to double as there are calls in flight', () => {
    const pace = begun();
    pace.probe(100);
    pace.quicken();
    for (let nth = 0; nth < 4; nth++) pace.admit(150 + 50 * nth);
    const before = pace.perMs;
    for (let nth = 0; nth < 4; nth++) pace.quicken();
    // 2 ** (1/4 + 1/3 + 1/2 + 1), were they told at once; the gap of 50 ms between those sent is what is known.
    expect(pace.perMs).toBeGreaterThanOrEqual(before);
    expect(pace.perMs).toBeLessThanOrEqual(1 / 50);
  });

  it('stays away for as long as is asked, and never less than its interval', () => {
    const pace = begun();
    pace.keepAway(0, 50);
    expect(pace.waitMs(0)).toBe(100);
    pace.keepAway(0, 500);
    expect(pace.waitMs(100)).toBe(400);
    expect(pace.waitMs(900)).toBe(0);
  });

  it('stays away for a minute at most, and refuses nothing for ever for a time that is none', () => {
    const pace = begun();
    pace.keepAway(0, 1e15);
    expect(pace.waitMs(0)).toBe(60_000);
    expect(pace.probe(60_000)).toBe(true);
    pace.quicken();
    pace.admit(Number.NaN);
    expect(pace.admit(70_000)).toBe(true);
    expect(pace.perMs).toBeGreaterThan(0);
  });

  it('knows what share passed lately', () => {
    const pace = begun();
    pace.probe(100);
    pace.quicken();
    for (let nth = 0; nth < 1000; nth++) pace.admit(100);
    expect(pace.share).toBeLessThan(0.1);
    for (let nth = 0; nth < 1000; nth++) pace.back();
    expect(pace.share).toBeGreaterThan(0.9);
  });
});
