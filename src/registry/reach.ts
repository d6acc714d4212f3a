import type { Random } from '../core/random.js';
import type { PeerLink } from './peer-link.js';

/** Who is told: the nodes of the own zone, and everywhere also one node of each other zone, which tells those of its own. */
export type Reach = 'everywhere' | 'own zone';

/** The links to those who are told. Of another zone one that can be reached is drawn, if there is any. */
export function linksWithin(reach: Reach, all: readonly PeerLink[], random: Random): readonly PeerLink[] {
  const links: PeerLink[] = [];
  const elsewhere = new Map<string, PeerLink[]>();
  for (const link of all) {
    if (!link.otherZone) links.push(link);
    else elsewhere.set(link.zone, [...(elsewhere.get(link.zone) ?? []), link]);
  }
  if (reach === 'own zone') return links;
  for (const zone of elsewhere.values()) {
    const up = zone.filter(({ status }) => status !== 'lost');
    const among = up.length > 0 ? up : zone;
    const drawn = among[Math.min(among.length - 1, Math.floor(random() * among.length))];
    if (drawn) links.push(drawn);
  }
  return links;
}
