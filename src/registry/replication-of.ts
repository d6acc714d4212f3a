import type { RegistryTransport } from '../discovery/transport.js';
import type { InstanceStore } from './instance-store.js';
import type { Lifecycle } from './lifecycle.js';
import { resolveLimits } from './limits.js';
import { parsePeers } from './membership.js';
import type { Tell } from './registry-event.js';
import type { ResolvedRegistryOptions } from './registry-options.js';
import { Replication } from './replication.js';

/** Clients and nodes renew three times in the time after which they expire. */
const renewalsPerExpiry = 3;

/** What makes a node one of a cluster; absent without `peers`. */
export function replicationOf(parts: {
  readonly options: ResolvedRegistryOptions;
  readonly store: InstanceStore;
  readonly lifecycle: Lifecycle;
  readonly transport: RegistryTransport;
  readonly tell: Tell;
}): Replication | undefined {
  const { options, store, lifecycle, transport, tell } = parts;
  const { peers, zone, clock, random, compareIntervalMs, replyWaitMs, syncTimeoutMs, peerTimeoutMs } =
    options;
  if (peers === undefined) return undefined;
  return new Replication({
    ...{ store, lifecycle, clock, random, zone, tell },
    ...{ compareIntervalMs, replyWaitMs, syncTimeoutMs, peerTimeoutMs },
    limits: resolveLimits(options.limits),
    transport,
    peers: parsePeers(peers, zone),
    givenOnly: options.token !== undefined,
    expiryMs: options.expiryMs,
    renewMs: options.expiryMs / renewalsPerExpiry,
  });
}
