import type { Endpoint } from '../core/endpoint.js';
import type { Balancer } from './balancer.js';
import { type EndpointFilter, filtered } from './filter.js';
import { type OutlierEjectionOptions, outlierEjection } from './outlier-ejection.js';
import { type P2cOptions, p2c } from './p2c.js';

/** Options of {@link standardBalancer}. */
export interface StandardBalancerOptions extends P2cOptions {
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

/** Defaults of {@link StandardBalancerOptions}; the rest are those of {@link P2cOptions}. */
export const standardBalancerDefaults = {
  ejection: {} as OutlierEjectionOptions | false,
  filters: [] as readonly EndpointFilter[],
  slowStart: {},
  // Up to here, comparing all costs no more than drawing two, and the worst of three endpoints is not a candidate.
  scanUpTo: 8,
};

/**
 * What a client uses unless it is told otherwise: {@link p2c} by least {@link responseTime} (sets of up to eight are
 * compared whole), newcomers started slowly, outliers ejected.
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
  const { ejection, filters, ...rest } = options;
  const { slowStart, scanUpTo } = standardBalancerDefaults;
  const inner = p2c<E>({
    ...rest,
    slowStart: rest.slowStart ?? slowStart,
    scanUpTo: rest.scanUpTo ?? scanUpTo,
  });
  const narrowed = filtered(inner, filters ?? standardBalancerDefaults.filters);
  return ejection === false ? narrowed : outlierEjection(narrowed, ejection);
}
