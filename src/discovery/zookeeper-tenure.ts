import type { Clock } from '../core/clock.js';
import type { Tenure, Trial } from './kept-registration.js';
import { NotRegistered, RegistryRefusal } from './refusal.js';
import { within } from './within.js';
import { failure, ZooKeeperError } from './zookeeper-protocol.js';
import type { ZooKeeperHow } from './zookeeper-session.js';
import { answered, type ZooKeeperTree } from './zookeeper-tree.js';

/** What a {@link ZooKeeperTenure} needs. */
export interface ZooKeeperTenureInit {
  readonly tree: ZooKeeperTree;
  readonly clock: Clock;
  readonly path: string;
  readonly value: string;
  readonly onGone: (reason: string) => void;
}

/** Answers that asking again as before would not change. */
const refusals: readonly number[] = [
  failure.noAuth,
  failure.invalidAcl,
  failure.authFailed,
  failure.noChildrenForEphemerals,
];

/** An instance as a node that ends with the session. */
export class ZooKeeperTenure implements Tenure {
  private off: (() => void) | undefined;

  constructor(private readonly init: ZooKeeperTenureInit) {}

  put(trial: Trial): Promise<void> {
    return this.within(trial, async (how) => {
      const { tree, path, value, onGone } = this.init;
      await tree.ensure(path.slice(0, path.lastIndexOf('/')), how);
      try {
        await tree.createEphemeral(path, value, how);
      } catch (error) {
        if (!answered(error, failure.nodeExists)) throw error;
        // Of an earlier session of ours, most of the time; it would go at some moment, and we with it.
        await tree.remove(path, how);
        await tree.createEphemeral(path, value, how);
      }
      this.off ??= tree.session.onExpiry(onGone);
    });
  }

  /** The session is kept without our doing; but a node can be taken out by hand. */
  keep(trial: Trial): Promise<void> {
    return this.within(trial, async (how) => {
      const { tree, path } = this.init;
      // A node of another session is that of a process which took our place: it is not ours to take back.
      if ((await tree.exists(path, how)) === undefined) throw new NotRegistered('the node is gone');
    });
  }

  remove(trial: Trial): Promise<void> {
    return this.within(trial, async (how) => {
      const { tree, path } = this.init;
      const stat = await tree.exists(path, how);
      if (stat !== undefined && stat.owner === tree.session.id) await tree.remove(path, how);
      this.off?.();
    });
  }

  private async within(trial: Trial, run: (how: ZooKeeperHow) => Promise<void>): Promise<void> {
    const { clock } = this.init;
    try {
      await within({ ...trial, clock }, (signal) => run({ ...trial, signal }));
    } catch (error) {
      const refused = error instanceof ZooKeeperError && refusals.includes(error.code);
      throw refused ? new RegistryRefusal(error.message) : error;
    }
  }
}
