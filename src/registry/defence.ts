import type { Clock } from '../core/clock.js';
import type { StoredInstance } from './instance-record.js';
import type { Tell } from './registry-event.js';

/** What others say of this node. */
export interface Said {
  readonly dirtyNs: bigint;
  /** Where they say it listens; absent: they say it is gone. */
  readonly addrs?: readonly string[] | undefined;
}

/** What a {@link Defence} needs. */
export interface DefenceInit {
  readonly clock: Clock;
  readonly tell: Tell;
  /** Runs it after that long, unless this node has left by then. */
  readonly later: (ms: number, run: () => void) => void;
  /** Registers this node anew, with a version above that one. */
  readonly correct: (outdoneNs: bigint) => void;
}

/** Least time between two corrections. */
const gapMs = 1_000;
/** Of what others say, in a line of the log. */
const toldLength = 255;

/** Sets right what others say of this node. Of itself only a node itself is believed. */
export class Defence {
  /** Newest version that others gave this node. */
  private outdoneNs = 0n;
  private correctedMs = Number.NEGATIVE_INFINITY;
  private correcting = false;
  private namesake = '';

  constructor(private readonly init: DefenceInit) {}

  /** @param record - how this node stands in its own list */
  hear({ dirtyNs, addrs }: Said, record: StoredInstance): void {
    if (dirtyNs < record.dirtyNs || (dirtyNs === record.dirtyNs && addrs !== undefined)) return;
    if (addrs) this.tellNamesake(addrs, record);
    if (dirtyNs > this.outdoneNs) this.outdoneNs = dirtyNs;
    if (this.correcting) return;
    this.correcting = true;
    const waitMs = this.correctedMs + gapMs - this.init.clock.now();
    // Another node of that name does the same: at once each time it would be the only thing that both do.
    if (waitMs > 0) this.init.later(waitMs, () => this.correct());
    else this.correct();
  }

  private correct(): void {
    this.correcting = false;
    this.correctedMs = this.init.clock.now();
    this.init.correct(this.outdoneNs);
  }

  /** Said once for each: it goes on until somebody gives one of them another name. */
  private tellNamesake(addrs: readonly string[], own: StoredInstance): void {
    const theirs = addrs.join(',').slice(0, toldLength);
    if (theirs === this.namesake || theirs === own.addrs.join(',')) return;
    this.namesake = theirs;
    this.init.tell('namesake', { hostname: own.hostname, addrs: theirs });
  }
}
