import type { HistogramPoint, NumberPoint } from './metric-data.js';

/** A point as text shows it. */
export type TextPoint = NumberPoint | HistogramPoint;

export function isHistogram(point: TextPoint): point is HistogramPoint {
  return 'bounds' in point;
}

/**
 * Puts two points together whose labels are the same: their attributes differ in ways that text does not show, as a number
 * from its digits. Twice the same line would be an error of the format, and one of them left out would be lost.
 *
 * @param adds - whether values add up, or the second counts
 */
export function joinedPoint(first: TextPoint, second: TextPoint, adds: boolean): TextPoint {
  const base = {
    ...first,
    startMs: Math.min(first.startMs, second.startMs),
    atMs: Math.max(first.atMs, second.atMs),
    exemplars: [...first.exemplars, ...second.exemplars],
  };
  if (!isHistogram(first) || !isHistogram(second)) {
    if (isHistogram(first) || isHistogram(second)) return first;
    return { ...base, value: adds ? first.value + second.value : second.value };
  }
  // Counts between other bounds cannot be added.
  if (!sameBounds(first.bounds, second.bounds)) return first;
  return {
    ...base,
    bounds: first.bounds,
    counts: first.counts.map((count, at) => count + (second.counts[at] as number)),
    count: first.count + second.count,
    sum: first.sum + second.sum,
    min: Math.min(first.min, second.min),
    max: Math.max(first.max, second.max),
  };
}

function sameBounds(some: readonly number[], others: readonly number[]): boolean {
  return (
    some === others || (some.length === others.length && some.every((bound, at) => bound === others[at]))
  );
}
