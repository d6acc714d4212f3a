import { ownAppid } from './app-key.js';
import type { InstanceStore } from './instance-store.js';

/** A node of the cluster. */
export interface Member {
  /** `host:port`. */
  readonly address: string;
  /** Empty: the own one. */
  readonly zone: string;
}

const maxPort = 65_535;
const address = /^(?:\[[0-9a-fA-F:.%\w-]+\]|[\w.-]+):\d{1,5}$/;

/**
 * Reads peers: `host:port` in the own zone, `zone=host:port` in another.
 *
 * @throws RangeError that says which cannot be read
 */
export function parsePeers(peers: readonly string[], ownZone: string): readonly Member[] {
  return peers.map((peer) => {
    const at = peer.lastIndexOf('=');
    const zone = at < 0 ? '' : peer.slice(0, at);
    const member = { address: peer.slice(at + 1), zone: zone === ownZone ? '' : zone };
    if (!address.test(member.address) || at === 0 || Number(member.address.split(':').pop()) > maxPort)
      throw new RangeError(`peers must each be host:port or zone=host:port, got ${JSON.stringify(peer)}`);
    return member;
  });
}

/**
 * The nodes that are registered, this one among them.
 *
 * Source: `nodesproc` in `discovery/syncup.go` of bilibili/discovery: addresses with the scheme http of `infra.discovery`; https
 * as well, for a cluster that speaks TLS.
 */
export function registeredMembers(store: InstanceStore, ownZone: string): readonly Member[] {
  const members: Member[] = [];
  for (const { appid, zone, addrs } of store.records()) {
    if (appid !== ownAppid) continue;
    for (const addr of addrs) {
      const [, host] = /^https?:\/\/([^/?#]+)\/?$/.exec(addr) ?? [];
      if (host !== undefined && address.test(host))
        members.push({ address: host, zone: zone === ownZone ? '' : zone });
    }
  }
  return members;
}

/**
 * Who is to be a peer: those that are registered, then those that were given, who may be away or cut off. What was
 * registered knows the zone better.
 *
 * @param limit - how many at most
 * @param not - addresses of this node itself
 * @param givenOnly - whether nodes that were only registered are none
 */
export function peersOf(
  registered: readonly Member[],
  given: readonly Member[],
  {
    limit,
    not,
    givenOnly,
  }: {
    readonly limit: number;
    readonly not: { has(address: string): boolean };
    readonly givenOnly: boolean;
  },
): readonly Member[] {
  const members = new Map<string, Member>();
  const room = (member: Member): number => (givenOnly && !given.includes(member) ? 0 : limit);
  // Those given come first in the order of the map, so that a flood of registrations cannot push them out.
  for (const member of [...given, ...registered])
    if (!not.has(member.address) && (members.has(member.address) || members.size < room(member)))
      members.set(member.address, member);
  return [...members.values()];
}
