import type { Clock } from '../core/clock.js';
import type { Access } from './access.js';
import type { Caller } from './caller.js';
import type { HostNames } from './host-names.js';
import type { InstanceStore } from './instance-store.js';
import type { Instant } from './instant.js';
import type { Lifecycle } from './lifecycle.js';
import type { RegistryLimits } from './limits.js';
import type { Tell } from './registry-event.js';
import type { Replication } from './replication.js';
import type { Reply } from './reply.js';
import type { Traffic } from './traffic.js';
import type { WaitingRoom } from './waiting-room.js';

/** What the endpoints work on. */
export interface Engine {
  readonly store: InstanceStore;
  readonly lifecycle: Lifecycle;
  readonly room: WaitingRoom;
  readonly limits: RegistryLimits;
  readonly clock: Clock;
  /** The moment, on both scales. */
  readonly now: () => Instant;
  /** How long a poll waits at most. */
  readonly pollParkMs: number;
  /** Shortest time between two empty lists on one connection. */
  readonly emptyListGapMs: number;
  /** When each connection was last sent an empty list; monotonic milliseconds. */
  readonly emptyLists: WeakMap<object, number>;
  /** The registry's own address as clients see it, `host:port`, and its zone. */
  readonly self: { address: string; readonly zone: string };
  /** By which names it may be asked; absent: by any. */
  readonly names: HostNames | undefined;
  /** Absent: this node has no peers. */
  readonly replication: Replication | undefined;
  readonly tell: Tell;
  readonly access: Access;
  readonly traffic: Traffic;
  /** What it holds and did, for Prometheus. */
  readonly metrics: () => string;
  /** Whether it is going away: polls are not parked any more. */
  closing: boolean;
}

/** One request that is waiting for its answer. */
export interface Exchange {
  /** The same object for all requests of one connection. */
  readonly connection: object;
  /** How long the client waits, from the header `x1-bmspy-timeout`; milliseconds. */
  readonly patienceMs: number;
  /** Who asks; absent: the program that this registry is a part of. */
  readonly caller: Caller | undefined;
  /** Sends the answer. Never throws; does nothing when the client is gone. */
  answer(reply: Reply): void;
  /** Runs when the client went away before the answer. */
  onGone(run: () => void): void;
}
