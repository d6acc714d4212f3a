/**
 * Finding services by DNS: A, AAAA and SRV records.
 *
 * @module
 */
import { promises as platform } from 'node:dns';
import { type Clock, systemClock } from '../core/clock.js';
import { aboutOption } from '../core/in-name-of.js';
import { type Bounds, checkChoice, resolveOptions } from '../core/options.js';
import { type Random, systemRandom } from '../core/random.js';
import { parseAddress } from './address.js';
import { type DnsQueries, type DnsTarget, isNothingThere, lookUp } from './dns-lookup.js';
import { Feed } from './feed.js';
import type { Resolution, Resolver, Watch } from './resolver.js';
import { ServiceView } from './service-view.js';
import { srvLookup } from './srv-lookup.js';

export type { DnsQueries } from './dns-lookup.js';

/** Options of {@link dns}. */
export interface DnsOptions {
  /**
   * For each service the name to look up, as a URL: `http://users.prod.svc.cluster.local:8080`. With SRV records the
   * ports are theirs, and the URL has none: `grpc://_grpc._tcp.users.internal`. Search domains do not apply.
   */
  readonly services: Readonly<Record<string, string>>;
  /**
   * Which records: `A`, `AAAA` or `SRV`.
   *
   * @defaultValue `'A'`
   */
  readonly type?: 'A' | 'AAAA' | 'SRV' | undefined;
  /**
   * Longest time between two look-ups, in milliseconds, shortened by up to a tenth at random; the records' own ttl
   * when that is shorter. A larger value asks less, and shows changes later.
   *
   * @defaultValue `30_000`
   */
  readonly refreshMs?: number | undefined;
  /**
   * Shortest time between two look-ups, in milliseconds, whatever the ttl says. A larger value protects the name
   * server from a ttl of 0.
   *
   * @defaultValue `1_000`
   */
  readonly minRefreshMs?: number | undefined;
  /**
   * How long the last good list is kept, marked stale, when an answer is empty or the name is gone; milliseconds. A
   * larger value forgives longer mistakes of the name server, and calls what is really gone for longer. 0 believes at
   * once.
   *
   * @defaultValue `60_000`
   */
  readonly removalHoldMs?: number | undefined;
  /**
   * A list that has less than this share of the instances known before is not believed at once: those that it leaves
   * out stay for `removalHoldMs`, with the resolution marked stale. 0 to 1. A larger value forgives more of a name
   * server that has lost records, and calls more of those that really left together; with 0.3 a change from 20
   * to 8 is believed, from 20 to 5 is doubted. 0 doubts the empty list only.
   *
   * @defaultValue `0.3`
   */
  readonly minListRatio?: number | undefined;
  /**
   * How long one query waits for a name server, in milliseconds; it is tried twice. Without effect with a `resolver`
   * of your own.
   *
   * @defaultValue `2_000`
   */
  readonly timeoutMs?: number | undefined;
  /**
   * Name servers to ask: `10.0.0.2`, `127.0.0.1:8600` for Consul's, `[::1]:5353`. Without effect with a `resolver` of
   * your own.
   *
   * @defaultValue `undefined`: those of the platform
   */
  readonly nameServers?: readonly string[] | undefined;
  /**
   * Asks the name servers. Anything with `resolve4`, `resolve6` and `resolveSrv` of `node:dns` promises.
   *
   * @defaultValue `undefined`: the name servers of the platform
   */
  readonly resolver?: DnsQueries | undefined;
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

/** Defaults of {@link dns}. */
export const dnsDefaults = {
  type: 'A' as 'A' | 'AAAA' | 'SRV',
  refreshMs: 30_000,
  minRefreshMs: 1_000,
  removalHoldMs: 60_000,
  minListRatio: 0.3,
  timeoutMs: 2_000,
  nameServers: undefined as readonly string[] | undefined,
  resolver: undefined as DnsQueries | undefined,
  clock: systemClock,
  random: systemRandom,
};

const bounds: Bounds<typeof dnsDefaults> = {
  refreshMs: { min: 100 },
  minRefreshMs: { min: 100 },
  removalHoldMs: { min: 0 },
  minListRatio: { min: 0, max: 1 },
  timeoutMs: { min: 10, integer: true },
};

type Settings = typeof dnsDefaults & { readonly resolver: DnsQueries };

/** Looks one name up for as long as somebody watches. */
class Follower {
  readonly view: ServiceView;
  private timer: { cancel(): void } | undefined;
  private over = false;

  constructor(
    private readonly target: DnsTarget,
    private readonly settings: Settings,
  ) {
    this.view = new ServiceView(settings);
    void this.look();
  }

  close(): void {
    this.over = true;
    this.timer?.cancel();
    this.view.close();
  }

  private async look(): Promise<void> {
    const { clock, random, refreshMs, minRefreshMs, resolver } = this.settings;
    const answer = await lookUp(this.target, resolver);
    if (this.over) return;
    if ('failure' in answer) this.view.lose(answer.failure);
    else this.view.accept(answer.instances);
    const ttlMs = 'failure' in answer ? minRefreshMs : Math.min(refreshMs, answer.ttlMs);
    const waitMs = Math.max(minRefreshMs, ttlMs) * (0.9 + 0.1 * random());
    this.timer = clock.after(waitMs, () => void this.look());
  }
}

function targetOf(service: string, text: string, type: Settings['type']): DnsTarget {
  // SRV brings its own port; parseAddress wants one for most schemes, so it is shown a stand-in.
  const srv = type === 'SRV';
  const address = parseAddress(srv ? `${text}:1` : text);
  if (typeof address === 'string')
    throw new TypeError(`dns.services.${service}: ${JSON.stringify(text)} ${address}`);
  const { hostname, port } = new URL(address.url);
  return { service, scheme: address.scheme, name: hostname, port: srv ? '' : port, type };
}

/**
 * A resolver that looks names up again and again.
 *
 * Use it with Kubernetes headless services (A, AAAA), Consul's DNS or anything that publishes SRV. It learns of
 * changes only at the next look-up and knows nothing of health, zones or restarts: where there is a registry, use
 * that. Of SRV records only those of the best priority are taken; their weights become the instances'. Node does not tell
 * their ttl: the first name server is asked for them directly, and Node where that fails.
 *
 * While the name server fails, the last good list serves, marked stale. A name that is gone, or has no records,
 * counts as an empty list, which is believed after `removalHoldMs`.
 *
 * @param options - only `services` is needed
 * @throws TypeError for a name that cannot be looked up or an unknown option, RangeError for a value out of range
 * @example
 * ```ts
 * const resolver = dns({ services: { users: 'http://users.prod.svc.cluster.local:8080' } });
 * ```
 *
 * Source: RFC 1035 section 3.2.1 (ttl), RFC 2782 (SRV).
 */
export function dns(options: DnsOptions): Resolver {
  if (typeof options !== 'object' || options === null) throw new TypeError('dns needs options with services');
  const { services, ...rest } = options;
  if (typeof services !== 'object' || services === null)
    throw new TypeError('dns.services must be an object of URLs');
  const resolved = resolveOptions('dns', dnsDefaults, rest, bounds);
  checkChoice('dns.type', resolved.type, ['A', 'AAAA', 'SRV']);
  const resolver = resolved.resolver ?? queriesOf(resolved);
  const settings: Settings = { ...resolved, resolver };
  const targets = new Map(
    Object.entries(services).map(([service, text]) => [service, targetOf(service, text, resolved.type)]),
  );
  return new DnsResolver(targets, settings);
}

function useServers(resolver: platform.Resolver, servers: readonly string[]): void {
  try {
    resolver.setServers(servers);
  } catch (cause) {
    const got = JSON.stringify(servers);
    throw aboutOption(
      new TypeError(`dns.nameServers must be IP addresses, with a port or without, got ${got}`, { cause }),
    );
  }
}

/** The platform's queries; those of SRV with the ttl, which it does not tell. */
function queriesOf({ clock, timeoutMs, nameServers, type }: typeof dnsDefaults): DnsQueries {
  // With SRV the first try is our own.
  const given = new platform.Resolver({ timeout: timeoutMs, tries: type === 'SRV' ? 1 : 2 });
  if (nameServers !== undefined) useServers(given, nameServers);
  const withTtl = srvLookup({ clock, timeoutMs, nameServers: () => given.getServers() });
  return {
    resolve4: (name, options) => given.resolve4(name, options),
    resolve6: (name, options) => given.resolve6(name, options),
    resolveSrv: async (name) => {
      try {
        return await withTtl(name);
      } catch (error) {
        if (isNothingThere(error)) throw error;
        // The platform knows more ways, such as the next name server.
        return given.resolveSrv(name);
      }
    },
  };
}

function unnamed(service: string): Feed {
  const feed = new Feed();
  feed.publish({ instances: [], stale: false, reason: `dns.services has no name for ${service}` });
  return feed;
}

class DnsResolver implements Resolver {
  private readonly followers = new Map<string, Follower>();
  private closed = false;

  constructor(
    private readonly targets: ReadonlyMap<string, DnsTarget>,
    private readonly settings: Settings,
  ) {}

  watch(service: string, onChange: (resolution: Resolution) => void): Watch {
    if (this.closed) return { close: () => undefined };
    const target = this.targets.get(service);
    let follower = this.followers.get(service);
    if (!follower) {
      if (!target) return unnamed(service).subscribe(onChange);
      follower = new Follower(target, this.settings);
      this.followers.set(service, follower);
    }
    const own = follower;
    const watch = own.view.subscribe(onChange);
    return {
      close: () => {
        watch.close();
        if (own.view.size > 0 || this.followers.get(service) !== own) return;
        own.close();
        this.followers.delete(service);
      },
    };
  }

  close(): void {
    this.closed = true;
    for (const follower of this.followers.values()) follower.close();
    this.followers.clear();
  }
}
