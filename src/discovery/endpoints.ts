import type { Endpoint } from '../core/endpoint.js';
import { parseAddress } from './address.js';
import type { ServiceInstance } from './instance.js';

/** Options of {@link endpointsOf}. */
export interface EndpointsOptions {
  /**
   * Which addresses of an instance are meant, by scheme in lower case: `['http', 'https']`. An instance that has none
   * of them gives no endpoint. Not given: all schemes.
   *
   * @defaultValue `undefined`
   */
  readonly schemes?: readonly string[] | undefined;
  /**
   * Told of each address that was left out although its scheme was asked for, and why.
   *
   * @defaultValue `undefined`
   */
  readonly onSkip?: ((address: string, reason: string, instance: ServiceInstance) => void) | undefined;
}

/**
 * Makes endpoints of instances: one per address, the instance's weight, zone, version and labels on each.
 *
 * An endpoint's id is the instance's id and the address, so a process that restarts on its old address is a new
 * endpoint without a past. Addresses that cannot be connected to are left out one by one, doubles silently; an
 * instance of weight 0 takes no traffic and gives none. One without a weight has the usual, 100.
 *
 * @param instances - as a resolver pushed them
 * @param options - which schemes, and whom to tell
 * @example
 * ```ts
 * endpointsOf(resolution.instances, { schemes: ['http', 'https'] });
 * ```
 */
export function endpointsOf(
  instances: readonly ServiceInstance[],
  options: EndpointsOptions = {},
): Endpoint[] {
  const { schemes, onSkip } = options;
  const found = new Map<string, Endpoint>();
  for (const instance of instances) {
    for (const text of instance.addresses) {
      const address = parseAddress(text);
      if (typeof address === 'string') {
        onSkip?.(text, address, instance);
        continue;
      }
      if (schemes && !schemes.includes(address.scheme)) continue;
      const weight = weightOf(instance);
      if (!(weight > 0 && Number.isFinite(weight))) {
        onSkip?.(text, `has weight ${weight}`, instance);
        continue;
      }
      const id = unique(`${instance.id}@${address.url}`);
      if (!found.has(id)) found.set(id, endpoint(id, address.url, instance));
    }
  }
  return [...found.values()];
}

/** A resolver of the user's, in JavaScript, may say nothing of it. */
function weightOf({ weight }: ServiceInstance): number {
  return weight ?? 100;
}

/**
 * The same string as the key of an object, of which an engine keeps one copy. Each call looks its endpoint up by the id;
 * maps tell such copies apart by reference, and strings that were put together from pieces letter by letter.
 */
function unique(id: string): string {
  return Object.keys({ [id]: true })[0] as string;
}

function endpoint(id: string, url: string, instance: ServiceInstance): Endpoint {
  const { zone, version, metadata } = instance;
  return {
    id,
    url,
    weight: weightOf(instance),
    zone: zone || undefined,
    version: version || undefined,
    metadata,
  };
}
