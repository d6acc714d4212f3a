import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '../core/clock.js';
import { reasonOf } from '../discovery/discovery-event.js';
import type { Tell } from './registry-event.js';
import { readScheduler, type Scheduler } from './scheduler.js';

/** What a {@link SchedulerFolder} needs. */
export interface SchedulerFolderInit {
  /** Path of the folder. */
  readonly path: string;
  readonly clock: Clock;
  readonly tell: Tell;
  /** Told what there is, by app, whenever that changed. */
  readonly onChange: (schedulers: ReadonlyMap<string, string>) => void;
}

interface Kept {
  readonly stamp: string;
  /** Absent: it never could be read. */
  readonly scheduler: Scheduler | undefined;
}

/** Between two looks. Notifications of the platform are lost on network file systems and in containers; a look is not. */
const lookMs = 2_000;
const maxFiles = 2_000;
const maxBytes = 256 * 1_024;

/** Follows the files of a folder. One that cannot be read keeps what it last said; one that is gone says nothing. */
export class SchedulerFolder {
  private files: ReadonlyMap<string, Kept> = new Map();
  private timer: Timer | undefined;
  private failure = '';
  private over = false;

  constructor(private readonly init: SchedulerFolderInit) {}

  /** Reads them for the first time; goes on for itself. */
  async begin(): Promise<void> {
    await this.look();
    if (this.over) return;
    this.timer = this.init.clock.after(lookMs, () => void this.begin());
  }

  close(): void {
    this.over = true;
    this.timer?.cancel();
  }

  private async look(): Promise<void> {
    try {
      const names = (await readdir(this.init.path)).filter((name) => name.endsWith('.json')).sort();
      if (names.length > maxFiles) throw new RangeError(`there are more than ${maxFiles} files`);
      const found = new Map<string, Kept>();
      for (const name of names) found.set(name, await this.lookAt(name));
      this.failure = '';
      this.take(found);
    } catch (error) {
      // As long as the folder cannot be read everything stays as it was. Said once.
      const reason = reasonOf(error);
      if (reason !== this.failure) this.init.tell('scheduler', { file: this.init.path, error: reason });
      this.failure = reason;
    }
  }

  private async lookAt(name: string): Promise<Kept> {
    const path = join(this.init.path, name);
    const before = this.files.get(name);
    let stamp = 'none';
    try {
      const { mtimeMs, size, ino } = await stat(path);
      stamp = `${mtimeMs} ${size} ${ino}`;
      if (before?.stamp === stamp) return before;
      if (size > maxBytes) throw new RangeError(`it has more than ${maxBytes} bytes`);
      return { stamp, scheduler: readScheduler(await readFile(path, 'utf8')) };
    } catch (error) {
      if (before?.stamp !== stamp)
        this.init.tell('scheduler', {
          file: name,
          error: reasonOf(error),
          kept: before?.scheduler !== undefined,
        });
      return { stamp, scheduler: before?.scheduler };
    }
  }

  private take(found: ReadonlyMap<string, Kept>): void {
    const changed =
      found.size !== this.files.size ||
      [...found].some(([name, { scheduler }]) => scheduler !== this.files.get(name)?.scheduler);
    this.files = found;
    if (!changed || this.over) return;
    const byApp = new Map<string, string>();
    for (const [name, { scheduler }] of found) {
      if (scheduler === undefined) continue;
      if (byApp.has(scheduler.key))
        this.init.tell('scheduler', {
          file: name,
          error: 'another file is for the same app; this one counts',
        });
      byApp.set(scheduler.key, scheduler.json);
    }
    this.init.onChange(byApp);
  }
}
