// What real servers did, compared within each round. A round between two bare legs that differ is disturbed, and left out.
import { quantile } from '../harness.mjs';

/** @typedef {import('../overload/run.mjs').Leg} Leg */
/** @typedef {import('../overload/run.mjs').BarePair} BarePair */
/** @typedef {{ readonly legs: readonly Leg[], readonly bare: readonly BarePair[] }} Overload */

export const bearable = 0.05;

/** @param {{ good: number, serverCpuMs: number }} figures */
export const perCpuSecond = ({ good, serverCpuMs }) => (good * 1000) / serverCpuMs;

/** @param {readonly number[]} values @returns {number} `NaN` of nothing */
export const median = (values) => quantile(values, 0.5);

/** @param {Overload} overload @param {string} scene */
export function roundsOf({ bare }, scene) {
  const here = bare.filter((pair) => pair.scene === scene);
  const calm = here.filter(({ before, after }) => {
    const [one, other] = [perCpuSecond(before), perCpuSecond(after)];
    return Math.abs(one - other) / Math.min(one, other) <= bearable;
  });
  return { all: here.length, calm: calm.map(({ round }) => round) };
}

/**
 * How many times as much keelson answers in time for each second of its CPU.
 *
 * @param {Overload} overload
 * @param {{ scene: string, other: string, factor: number }} of
 * @returns {number} `NaN` when most rounds were disturbed
 */
export function ratioOver(overload, { scene, other, factor }) {
  const { all, calm } = roundsOf(overload, scene);
  if (calm.length * 2 <= all) return Number.NaN;
  const here = overload.legs.filter((leg) => leg.scene === scene && leg.factor === factor);
  const ratios = calm.flatMap((round) => {
    const ours = here.find((leg) => leg.round === round && leg.contender === 'keelson');
    const theirs = here.find((leg) => leg.round === round && leg.contender === other);
    if (ours === undefined || theirs === undefined) return [];
    // Of one that did nothing in time, as if it had answered one call.
    const least = 1000 / theirs.figures.serverCpuMs;
    return [perCpuSecond(ours.figures) / Math.max(perCpuSecond(theirs.figures), least)];
  });
  return median(ratios);
}
