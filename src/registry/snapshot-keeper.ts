import { readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock, Timer } from '../core/clock.js';
import { readBounded, writeAtomic } from '../discovery/atomic-file.js';
import { reasonOf } from '../discovery/discovery-event.js';
import { within } from '../discovery/within.js';
import type { Tell } from './registry-event.js';
import type { Restored } from './snapshot.js';

/** What a {@link SnapshotKeeper} needs. */
export interface SnapshotKeeperInit {
  readonly path: string;
  readonly clock: Clock;
  /** What is to be written. */
  readonly encode: () => string;
  /** Understands what was written. */
  readonly decode: (text: string) => Restored;
  readonly tell: Tell;
  /** More is neither read nor written. */
  readonly maxBytes?: number | undefined;
}

/** Changes come in bursts; a disk wants one write for each. */
const debounceMs = 2_000;
/** Who only renews changes nothing, but gets older in the file. */
const refreshMs = 300_000;
const defaultMaxBytes = 256 * 1024 * 1024;
/** How long the last write may take: a disk that hangs must not keep the process. */
const lastWriteMs = 5_000;
/** Nobody writes one file for so long. A younger one may be that of a predecessor that has not quite gone. */
const leftMs = 60_000;
/** Files that were refused and are kept. */
const maxRefused = 100;

/** Keeps a file that holds what the registry knew last. The disk never gets in anybody's way. */
export class SnapshotKeeper {
  private timer: Timer | undefined;
  private refreshing: Timer | undefined;
  private busy = false;
  private writing: Promise<void> = Promise.resolve();
  private again = false;
  private foreign = false;
  private over = false;
  /** Until what was in the file has been taken over, writing would wipe it out. */
  private begun = false;

  constructor(private readonly init: SnapshotKeeperInit) {}

  private get maxBytes(): number {
    return this.init.maxBytes ?? defaultMaxBytes;
  }

  /** What an earlier process left; `undefined` when there is nothing, or nothing that can be used. */
  async load(): Promise<Restored | undefined> {
    const { path, decode, tell } = this.init;
    await this.tidy();
    try {
      const text = await readBounded(path, this.maxBytes);
      return text === undefined ? undefined : decode(text);
    } catch (error) {
      this.foreign = true;
      tell('snapshot', { path, reason: `it was ignored: ${reasonOf(error)}` });
      return undefined;
    }
  }

  /** What was loaded has been taken over: from now on the file is written. */
  begin(): void {
    if (this.over || this.begun) return;
    this.begun = true;
    this.refresh();
  }

  changed(): void {
    if (this.over || !this.begun) return;
    this.timer ??= this.init.clock.after(debounceMs, () => this.flush());
  }

  /** Writes for the last time. */
  async close(): Promise<void> {
    if (this.over) return;
    this.over = true;
    if (!this.begun) return;
    const { clock, path, tell } = this.init;
    this.refreshing?.cancel();
    this.flush();
    try {
      await within({ clock, timeoutMs: lastWriteMs, holdsProcess: true }, () => this.writing);
    } catch (error) {
      tell('snapshot', { path, reason: `it was not written: ${reasonOf(error)}` });
    }
  }

  /** Removes what a process left beside it that was killed while it wrote. */
  private async tidy(): Promise<void> {
    const { path, clock } = this.init;
    const folder = dirname(path);
    const name = basename(path);
    const left = (file: string) =>
      file.startsWith(`${name}.`) && /^[0-9a-f-]{36}\.tmp$/.test(file.slice(name.length + 1));
    try {
      for (const file of (await readdir(folder)).filter(left)) {
        const { mtimeMs } = await stat(join(folder, file));
        if (clock.wallMs() - mtimeMs > leftMs) await rm(join(folder, file), { force: true });
      }
    } catch {
      // A folder that cannot be read will be complained of when it is written to; a file may have gone meanwhile.
    }
  }

  private refresh(): void {
    this.refreshing = this.init.clock.after(refreshMs, () => {
      this.changed();
      this.refresh();
    });
  }

  private flush(): void {
    this.timer?.cancel();
    this.timer = undefined;
    // One at a time; what comes meanwhile is one more.
    if (this.busy) this.again = true;
    else this.writing = this.write();
  }

  private async write(): Promise<void> {
    const { path, encode, tell } = this.init;
    this.busy = true;
    do {
      this.again = false;
      try {
        if (this.foreign) await this.moveAway();
        this.foreign = false;
        const text = encode();
        const bytes = Buffer.byteLength(text);
        if (bytes > this.maxBytes) throw new RangeError(`it would have ${bytes} bytes, more than are read`);
        await writeAtomic(path, text);
      } catch (error) {
        tell('snapshot', { path, reason: `it was not written: ${reasonOf(error)}` });
      }
    } while (this.again);
    this.busy = false;
  }

  /** Whatever it is, it is not ours to destroy, and neither is what was moved away before. */
  private async moveAway(): Promise<void> {
    const { path } = this.init;
    let free = `${path}.refused`;
    for (let count = 1; await exists(free); count++) {
      if (count >= maxRefused) throw new RangeError(`there are ${maxRefused} refused ones beside it already`);
      free = `${path}.${count}.refused`;
    }
    try {
      await rename(path, free);
    } catch (error) {
      // Somebody removed it by hand.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
