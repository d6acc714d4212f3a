/** Bounds of durations in seconds; OpenTelemetry semantic conventions for HTTP and RPC. */
export const durationBounds: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];

/** Bounds of anything else; OpenTelemetry metrics SDK, "Explicit bucket histogram aggregation". */
export const plainBounds: readonly number[] = [
  0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000,
];

/** More bounds than that are a mistake: each series has a count for each. */
const maxBounds = 512;

/** The bounds of an instrument that asks for none: `[0, 5, 10, …]` would put all durations in seconds into one bucket. */
export function boundsOfUnit(unit: string): readonly number[] {
  return unit === 's' ? durationBounds : plainBounds;
}

/**
 * Takes bounds from a user. Infinite ones at the ends say nothing and are left out.
 *
 * @returns `undefined` when they are no rising numbers, or too many
 */
export function checkedBounds(given: unknown): readonly number[] | undefined {
  if (!Array.isArray(given)) return undefined;
  const bounds: unknown[] = given.slice(
    given[0] === Number.NEGATIVE_INFINITY ? 1 : 0,
    given.at(-1) === Number.POSITIVE_INFINITY ? -1 : undefined,
  );
  const rising = bounds.every(
    (bound, at) => Number.isFinite(bound) && (at === 0 || (bound as number) > (bounds[at - 1] as number)),
  );
  return rising && bounds.length <= maxBounds ? Object.freeze(bounds as number[]) : undefined;
}

/** Index of the bucket of a value: upper bounds belong to their bucket. */
export function bucketOf(bounds: readonly number[], value: number): number {
  let low = 0;
  let high = bounds.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((bounds[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
