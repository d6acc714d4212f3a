import { type Clock, systemClock } from '../core/clock.js';
import { type Bounds, resolveOptions } from '../core/options.js';
import { type Random, systemRandom } from '../core/random.js';
import { parseAddress } from './address.js';
import type { DiscoveryEvent } from './discovery-event.js';
import type { ServiceInstance } from './instance.js';
import { type Joint, joint, type Source } from './joint.js';
import { type Choice, type Chosen, type Heard, sourceName } from './joint-watch.js';
import type { Registrar, Registry } from './registrar.js';
import type { Resolution } from './resolver.js';
import { byId } from './same-instances.js';

/** Options of {@link merge}. */
export interface MergeOptions {
  /**
   * Where instances are registered: in all of them at once.
   *
   * @defaultValue `undefined`: in each of the sources that is a registry
   */
  readonly registerIn?: readonly Registrar[] | undefined;
  /**
   * How long a slower source may keep the others waiting, in milliseconds: for the first list, and for the first
   * registration. A larger value starts with a more complete list, and later when a source is away. 0 waits for
   * nobody.
   *
   * @defaultValue `1_000`
   */
  readonly waitMs?: number | undefined;
  /**
   * Told when one of several registries refuses an instance that another one took, when it has it at last, and what a
   * listener threw.
   *
   * @defaultValue `undefined`
   */
  readonly onEvent?: ((event: DiscoveryEvent) => void) | undefined;
  /**
   * Tells the time and waits.
   *
   * @defaultValue `systemClock`
   */
  readonly clock?: Clock | undefined;
  /**
   * For jitter.
   *
   * @defaultValue `systemRandom`
   */
  readonly random?: Random | undefined;
}

/** Defaults of {@link merge}. */
export const mergeDefaults = {
  registerIn: undefined as readonly Registrar[] | undefined,
  waitMs: 1_000,
  /** Nobody is told. */
  onEvent: undefined as ((event: DiscoveryEvent) => void) | undefined,
  clock: systemClock as Clock,
  random: systemRandom as Random,
};

/** Their ranges. */
export const mergeBounds: Bounds<typeof mergeDefaults> = { waitMs: { min: 0 } };

/** The lists of all sources as one. */
class Union implements Choice {
  constructor(private readonly until: number) {}

  choose(heard: Heard, now: number): Chosen {
    const never = Number.POSITIVE_INFINITY;
    if (heard.includes(undefined) && now < this.until) return { resolution: undefined, againAt: this.until };
    if (heard.every((resolution) => resolution === undefined))
      return { resolution: undefined, againAt: never };
    return { resolution: union(heard), againAt: never };
  }
}

function union(heard: Heard): Resolution {
  const taken = new Set<string>();
  const found = new Map<string, ServiceInstance>();
  for (const { instances } of heard.filter((resolution) => resolution !== undefined)) {
    const added: string[] = [];
    for (const instance of instances) {
      const own = instance.addresses.filter((address) => !taken.has(placeOf(address)));
      if (own.length === 0) continue;
      const known = found.get(instance.id);
      found.set(instance.id, known ? withMore(known, own) : withOnly(instance, own));
      added.push(...own);
    }
    // Not before: what one registry lists twice is not for us to judge.
    for (const address of added) taken.add(placeOf(address));
  }
  const reason = heard
    .flatMap((resolution, at) => doubtOf(resolution, sourceName(at, heard.length)))
    .join('; ');
  return {
    instances: [...found.values()].sort(byId),
    stale: heard.some((resolution) => resolution?.stale ?? true),
    reason: reason || undefined,
  };
}

/** One place however it is written. */
function placeOf(address: string): string {
  const parsed = parseAddress(address);
  return typeof parsed === 'string' ? address : parsed.url;
}

function withOnly(instance: ServiceInstance, own: readonly string[]): ServiceInstance {
  return own.length === instance.addresses.length ? instance : { ...instance, addresses: own };
}

function withMore(known: ServiceInstance, own: readonly string[]): ServiceInstance {
  return { ...known, addresses: [...new Set([...known.addresses, ...own])] };
}

function doubtOf(resolution: Resolution | undefined, name: string): string[] {
  if (resolution === undefined) return [`${name} has not answered yet`];
  return resolution.reason === undefined ? [] : [`${name}: ${resolution.reason}`];
}

/**
 * Several registries or resolvers as one: finds what any of them knows, and registers in all of them at once.
 *
 * Use it to move from one registry to another without a stop, and where one is not enough. An address that several of
 * them know is one endpoint; what the earlier source says of it counts. An instance that they know by the same id, as
 * those of keelson and kratos are, is one instance with the addresses of both. The list is stale as long as one source
 * is, or has not answered: of that one its last good list is part of it. Where only one source is to be believed at a
 * time, use {@link fallback}.
 *
 * Registering waits for all registries, but not for the slower ones once one has taken the instance; one that refuses
 * while another takes is told to `onEvent` and tried again, rarely. It is `registered` as long as one has it. Closing
 * it closes the sources.
 *
 * @param sources - the more important first
 * @param options - all optional
 * @throws TypeError for what is neither registry nor resolver or an unknown option, RangeError for a number out of range
 * @example
 * ```ts
 * const registry = merge([discovery({ nodes: ['http://127.0.0.1:7171'] }), etcd({ nodes: ['http://127.0.0.1:2379'] })]);
 * const app = createApp({ service: 'orders', registry });
 * ```
 */
export function merge(
  sources: readonly Source[],
  options: MergeOptions & { readonly registerIn: readonly Registrar[] },
): Registry;
export function merge<const S extends readonly Source[]>(sources: S, options?: MergeOptions): Joint<S>;
export function merge<const S extends readonly Source[]>(sources: S, options?: MergeOptions): Joint<S> {
  const settings = resolveOptions('merge', mergeDefaults, options, mergeBounds);
  const choice = (now: number): Choice => new Union(now + settings.waitMs);
  return joint<S>({ ...settings, owner: 'merge', sources, choice });
}
