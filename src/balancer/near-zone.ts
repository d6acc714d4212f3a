import { resolveOptions, wrongKind } from '../core/options.js';
import type { EndpointFilter } from './filter.js';

/** Options of {@link nearZone}. */
export interface NearZoneOptions {
  /** The caller's own zone. */
  readonly zone: string;
  /**
   * The zone is enough for itself while it has at least this many endpoints; a whole number, 1 or more. A larger
   * value leaves the zone sooner.
   *
   * @defaultValue `1`
   */
  readonly minEndpoints?: number | undefined;
  /**
   * And while it has at least this part of the weight of all endpoints; 0 to 1. With callers spread evenly over `z`
   * zones, about `0.7 / z` keeps a zone that lost servers from being crushed by its own callers. A larger value
   * leaves the zone sooner.
   *
   * @defaultValue `0`
   */
  readonly minWeightRatio?: number | undefined;
}

/** Defaults of {@link NearZoneOptions}. */
export const nearZoneDefaults = { minEndpoints: 1, minWeightRatio: 0 };

/**
 * Keeps the caller's own zone while it has enough endpoints, else all zones: the calls that stay are faster and cost no
 * traffic between zones.
 *
 * Not with zones of very different size and callers spread evenly: the small ones would carry too much; set
 * `minWeightRatio`.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 *
 * Source: the idea is Envoy's zone aware routing, which can also send a part of the calls elsewhere; this one is all or
 * nothing, and needs no knowledge of the callers.
 */
export function nearZone(options: NearZoneOptions): EndpointFilter {
  const { zone, ...rest } = options ?? ({} as Partial<NearZoneOptions>);
  const { minEndpoints, minWeightRatio } = resolveOptions('nearZone', nearZoneDefaults, rest, {
    minEndpoints: { min: 1, integer: true },
    minWeightRatio: { min: 0, max: 1 },
  });
  if (typeof zone !== 'string' || zone === '') throw wrongKind('nearZone.zone', 'a name', zone);
  return (endpoints) => {
    const near = endpoints.filter((endpoint) => endpoint.zone === zone);
    const weigh = (list: typeof near) => list.reduce((sum, { weight }) => sum + weight, 0);
    const enough = near.length >= minEndpoints && weigh(near) >= minWeightRatio * weigh([...endpoints]);
    return enough ? near : endpoints;
  };
}
