import type { Endpoint } from '../core/endpoint.js';
import { inNameOf } from '../core/in-name-of.js';
import { resolveOptions } from '../core/options.js';
import type { Balancer } from './balancer.js';
import type { OutlierEjectionOptions } from './ejection-options.js';
import { checkFilters, type EndpointFilter, filtered } from './filter.js';
import { type LeastLoadOptions, leastLoad, leastLoadDefaults } from './least-load.js';
import { outlierEjection } from './outlier-ejection.js';
import type { SlowStartOptions } from './slow-start.js';

/** Options of {@link standardBalancer}. */
export interface StandardBalancerOptions extends LeastLoadOptions {
  /**
   * As for {@link leastLoad}: how newcomers start. `{ floorRatio: 1 }` lets them count in full at once.
   *
   * @defaultValue `{}`
   */
  readonly slowStart?: SlowStartOptions | undefined;
  /**
   * How outliers are ejected; `false` never ejects.
   *
   * @defaultValue `{}`
   */
  readonly ejection?: OutlierEjectionOptions | false | undefined;
  /**
   * What leaves endpoints out of the list, in this order; they see only endpoints that are not ejected.
   *
   * @defaultValue `[]`
   */
  readonly filters?: readonly EndpointFilter[] | undefined;
}

/** Defaults of {@link StandardBalancerOptions}; the rest are those of {@link LeastLoadOptions}. */
export const standardBalancerDefaults = {
  ejection: {} as OutlierEjectionOptions | false,
  filters: [] as readonly EndpointFilter[],
  slowStart: {},
};

/**
 * What a client uses unless it is told otherwise: {@link leastLoad} by {@link serverBacklog}, newcomers started slowly,
 * outliers ejected. With servers that report no load, or whose thread is idle while calls wait for something else, it goes by
 * latency.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 * @example
 * ```ts
 * const balancer = standardBalancer({ filters: [nearZone({ zone: 'eu-1a' })] });
 * ```
 */
export function standardBalancer<E extends Endpoint = Endpoint>(
  options: StandardBalancerOptions = {},
): Balancer<E> {
  resolveOptions<object>('standardBalancer', { ...leastLoadDefaults, ...standardBalancerDefaults }, options);
  return inNameOf(names, () => standardOf(options));
}

/** What its parts call themselves, and what they are as options of it. */
const names = { leastLoad: 'standardBalancer', outlierEjection: 'standardBalancer.ejection' };

function standardOf<E extends Endpoint>(options: StandardBalancerOptions): Balancer<E> {
  const { ejection, filters = standardBalancerDefaults.filters, slowStart, ...rest } = options;
  checkFilters('standardBalancer.filters', filters);
  const inner = leastLoad<E>({ ...rest, slowStart: slowStart ?? standardBalancerDefaults.slowStart });
  const narrowed = filtered(inner, filters);
  return ejection === false ? narrowed : outlierEjection(narrowed, ejection);
}
