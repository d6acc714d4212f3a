import { describe, expect, it } from 'vitest';
import { outageSeries } from '../../bench/sim/series/outages.mjs';
import { stepSeries } from '../../bench/sim/series/steps.mjs';

const how = { seed: 1, quick: true };
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('series of the step', () => {
  const steps = stepSeries(how);

  it('are the same for the same seed, and as long for all', () => {
    expect(stepSeries(how)).toEqual(steps);
    for (const { lines } of steps) expect(new Set(lines.map(({ values }) => values.length)).size).toBe(1);
    expect(steps.map(({ id }) => id)).toEqual(['step-5-sync', 'step-5-async']);
  });

  it('show who stays near the limit and who collapses', () => {
    for (const { lines, binMs, stepMs, limits } of steps) {
      const within = (name: string) => {
        const { values = [] } = lines.find((line) => line.name === name) ?? {};
        return mean(values.slice((stepMs[0] ?? 0) / binMs, (stepMs[1] ?? 0) / binMs));
      };
      expect(within('dispatchQueue')).toBeGreaterThan(0.85 * (limits[1] ?? 0));
      expect(within('none')).toBeLessThan(0.4 * (limits[1] ?? 0));
    }
  });
});

describe('series of the outage', () => {
  const [outage, halfBack] = outageSeries(how);

  it('show that hardly anything is sent while the callee is down, and all again when it is back', () => {
    if (outage === undefined) throw new Error('there is none');
    const { sent = [], succeeded = [] } = outage.lines.find(({ name }) => name === 'evidence') ?? {};
    const part = (values: readonly number[], fromMs: number, toMs: number) =>
      mean(values.slice((fromMs - outage.fromMs) / outage.binMs, (toMs - outage.fromMs) / outage.binMs));
    expect(part(sent, 12_000, 30_000)).toBeLessThan(0.05 * outage.perSecond);
    expect(part(succeeded, 12_000, 30_000)).toBe(0);
    expect(part(succeeded, 35_000, 60_000)).toBeGreaterThan(0.9 * outage.perSecond);
  });

  it('are told for one that comes back with half of its capacity as well', () => {
    expect(halfBack?.id).toBe('half back');
    for (const { succeeded } of halfBack?.lines ?? [])
      expect(mean(succeeded.slice(-20))).toBeLessThan(0.6 * (halfBack?.perSecond ?? 0));
  });
});
