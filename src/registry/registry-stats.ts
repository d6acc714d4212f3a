import type { ListenAddress } from './address.js';
import type { PeerState } from './replication.js';

/** Where a registry is to be found. */
export interface RegistryAddress extends ListenAddress {
  /** `http://host:port`, or `https:`, for programs on this machine. */
  readonly url: string;
  /** `http://host:port` as clients are told it. */
  readonly advertisedUrl: string;
}

/** What a registry holds at the moment. */
export interface RegistryStats {
  /** Instances, the registry itself not counted. */
  readonly instances: number;
  /** Apps that have instances, the registry itself counted. */
  readonly apps: number;
  /** Apps remembered although their last instance left. */
  readonly emptyApps: number;
  /** Polls that wait. */
  readonly parkedPolls: number;
  /** Apps that waiting polls watch, summed over polls. */
  readonly watches: number;
  /** Lists encoded so far: one per change and form, however many are sent it. */
  readonly encodings: number;
  /** Bytes of encoded lists that are kept to be sent again. */
  readonly listBytes: number;
  /** Renewals expected per minute. */
  readonly expectedRenewals: number;
  /** Twice the instances that were heard of in the minute before the last sweep. */
  readonly seenRenewals: number;
  /** Whether instances that stopped renewing are kept. */
  readonly protecting: boolean;
  /** Instances known from before a restart only. */
  readonly stale: number;
  /** Cancelled instances that are remembered. */
  readonly cancelled: number;
  /** Whether it answers reads: a node alone does, one with peers once it has heard from them. */
  readonly synced: boolean;
  /** How far the fastest clock among its peers is ahead of its own; milliseconds. */
  readonly clockAheadMs: number;
  /** By which it is known to its peers, new for each start; empty for a node alone. */
  readonly node: string;
  /** The other nodes. */
  readonly peers: readonly PeerState[];
}
