import { resolveOptions } from '../core/options.js';
import type { EndpointFilter } from './filter.js';
import { Fingerprint } from './hash.js';

/** Options of {@link subset}. */
export interface SubsetOptions {
  /**
   * How many endpoints one client keeps connections to; a whole number, 1 or more. A larger value spreads one
   * client's calls better and costs connections. No effect on sets that are no larger.
   *
   * @defaultValue `25`
   */
  readonly size?: number | undefined;
  /**
   * What tells this client from others, the same after a restart if it is to meet the same endpoints. Host names
   * repeat: do not use one alone.
   *
   * @defaultValue `undefined`, a random one for each filter
   */
  readonly clientId?: string | undefined;
}

/** Defaults of {@link SubsetOptions}. */
export const subsetDefaults = { size: 25, clientId: undefined as string | undefined };

/**
 * Keeps `size` endpoints, different ones for each client, the same ones as long as they are there. Each endpoint gets
 * about as many clients as any other, none is left over, and when one leaves only the clients that had it replace it.
 *
 * Use it with hundreds of endpoints and clients, where everybody connected to everybody costs too much. Not with few
 * clients: chance then leaves endpoints that nobody keeps.
 *
 * @throws TypeError or RangeError for options that are unknown or out of range
 *
 * Source: rendezvous hashing, taking the `size` best instead of one. The deterministic subsets of "Site Reliability
 * Engineering" (chapter 20) leave the remainder of the division unused and reshuffle everybody when the number of
 * endpoints changes; kratos' ring moves more clients than it has to. Weights do not count here: the balancer behind
 * honours them, and would do so twice.
 */
export function subset(options?: SubsetOptions): EndpointFilter {
  const { size, clientId } = resolveOptions('subset', subsetDefaults, options, {
    size: { min: 1, integer: true },
  });
  if (clientId !== undefined && typeof clientId !== 'string') {
    throw new TypeError(`subset.clientId must be a string, got ${String(clientId)}`);
  }
  const client = new Fingerprint(clientId ?? globalThis.crypto.randomUUID());
  return (endpoints) => {
    if (endpoints.length <= size) return endpoints;
    const scores = Float64Array.from(endpoints, ({ id }) => client.with(new Fingerprint(id)));
    const bar = scores.toSorted()[scores.length - size] as number;
    return endpoints.filter((_, at) => (scores[at] as number) >= bar);
  };
}
