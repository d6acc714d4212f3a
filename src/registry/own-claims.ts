import type { Said } from './defence.js';
import type { Entries } from './entries.js';
import type { InstanceId } from './instance-id.js';

/** A description or a cancellation. */
interface OwnClaim extends InstanceId {
  readonly dirty?: bigint | undefined;
  readonly addrs?: readonly string[] | undefined;
}

/**
 * Leaves out what a node is told of itself: of that only itself is believed.
 *
 * @param isOwn - whether that is this node
 * @param hear - told what is left out
 */
export function withoutOwnClaims(
  { records, cancelled, renewals }: Entries,
  isOwn: (id: InstanceId) => boolean,
  hear: (said: Said) => void,
): Entries {
  const aboutOthers = (claim: OwnClaim): boolean => {
    if (!isOwn(claim)) return true;
    hear({ dirtyNs: claim.dirty ?? 0n, addrs: claim.addrs });
    return false;
  };
  return { records: records.filter(aboutOthers), cancelled: cancelled.filter(aboutOthers), renewals };
}
