import type { Clock, Timer } from '../core/clock.js';
import { type DiscoveryEvent, reasonOf } from './discovery-event.js';
import type { Snapshot } from './snapshot-file.js';

/** What a {@link SnapshotKeeper} needs. */
export interface SnapshotKeeperInit {
  readonly path: string;
  readonly env: string;
  readonly clock: Clock;
  /** What is to be written. */
  readonly collect: () => Snapshot;
  /** Told once of what an earlier process left. */
  readonly onLoad: (snapshot: Snapshot) => void;
  readonly tell: (event: DiscoveryEvent) => void;
}

/** Changes come in bursts; a disk wants one write for each. */
const debounceMs = 1_000;

/**
 * Loads one snapshot at the start, and writes a new one some time after each change. The disk never gets in anybody's
 * way.
 */
export class SnapshotKeeper {
  private timer: Timer | undefined;
  /** All reads and writes, one after the other. */
  private work: Promise<void>;
  private over = false;

  constructor(private readonly init: SnapshotKeeperInit) {
    this.work = this.load();
  }

  changed(): void {
    if (this.over) return;
    this.timer ??= this.init.clock.after(debounceMs, () => this.flush());
  }

  /** Writes what is still to be written. */
  async close(): Promise<void> {
    this.over = true;
    if (this.timer) this.flush();
    await this.work;
  }

  private flush(): void {
    this.timer?.cancel();
    this.timer = undefined;
    const snapshot = this.init.collect();
    this.work = this.work.then(() => this.write(snapshot));
  }

  private async load(): Promise<void> {
    const { path, env, onLoad, tell } = this.init;
    try {
      // Only who wants a file pays for node:fs.
      const { readSnapshot } = await import('./snapshot-file.js');
      onLoad(await readSnapshot(path, env));
    } catch (error) {
      tell({ type: 'snapshot', reason: `${path} was ignored: ${reasonOf(error)}` });
    }
  }

  private async write(snapshot: Snapshot): Promise<void> {
    const { path, env, tell } = this.init;
    try {
      const { writeSnapshot } = await import('./snapshot-file.js');
      await writeSnapshot(path, env, snapshot);
    } catch (error) {
      tell({ type: 'snapshot', reason: `${path} was not written: ${reasonOf(error)}` });
    }
  }
}
