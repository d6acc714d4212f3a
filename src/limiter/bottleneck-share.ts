import type { QuotaSettings } from './bottleneck-options.js';

/** The part of a quota that falls to one of so many processes; at least 1, for with nothing it would stand still. */
function part(amount: number | undefined, instances: number): number | null {
  return amount === undefined ? null : Math.max(1, Math.floor(amount / instances));
}

/** The limits, by bottleneck's names, for one of so many processes that do not know of each other. */
export function limitsOf(settings: QuotaSettings, instances = 1): Record<string, unknown> {
  const { maxConcurrent, minTimeMs, reservoir, refreshMs, increaseMs, increaseAmount } = settings;
  return {
    maxConcurrent: part(maxConcurrent, instances),
    minTime: minTimeMs * instances,
    reservoir: part(reservoir, instances),
    reservoirRefreshInterval: refreshMs ?? null,
    reservoirRefreshAmount:
      refreshMs === undefined ? null : part(settings.refreshAmount ?? reservoir, instances),
    reservoirIncreaseInterval: increaseMs ?? null,
    reservoirIncreaseAmount: increaseMs === undefined ? null : part(increaseAmount, instances),
    reservoirIncreaseMaximum: increaseMs === undefined ? null : part(reservoir, instances),
  };
}

/** How long it takes on average until one more may start; milliseconds, 0 if nothing but calls under way holds it back. */
export function paceMs(settings: QuotaSettings): number {
  const { minTimeMs, reservoir, refreshMs, refreshAmount, increaseMs, increaseAmount } = settings;
  const refresh = refreshMs === undefined ? 0 : refreshMs / (refreshAmount ?? reservoir ?? 1);
  const increase = increaseMs === undefined ? 0 : increaseMs / increaseAmount;
  return Math.max(minTimeMs, refresh, increase);
}
