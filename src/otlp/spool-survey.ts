import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../core/clock.js';
import type { LossReason } from './losses.js';
import { diskBytes } from './spool-file.js';
import { makeFolder } from './spool-folder.js';
import { parseHalfWritten, parseSpoolName, type SpoolName } from './spool-name.js';

/** What {@link SpoolSurvey} needs. */
export interface SpoolSurveyInit {
  readonly folder: string;
  /** Older files are not worth sending; milliseconds. */
  readonly maxAgeMs: number;
  /** A file that is claimed, or half written, for so long is so by a process that is no more; milliseconds. */
  readonly claimMs: number;
  readonly clock: Clock;
  readonly lost: (reason: LossReason, spans: number, why: string) => void;
}

/** A file that nobody has claimed. */
export interface SpoolFile {
  readonly entry: SpoolName;
  readonly bytes: number;
  /** On the clock's scale; milliseconds. */
  readonly wroteAt: number;
  /** Not to be sent before; on the same scale. */
  readonly dueAt: number;
  /** How often it was tried in vain. */
  readonly failures: number;
}

/** What there is in a folder. */
export interface SpoolFindings {
  /** Oldest first. */
  readonly files: SpoolFile[];
  /** Of those that others are sending. */
  readonly claimedBytes: number;
}

/**
 * Looks what there is in the folder of a spool, and clears up what dead processes have left.
 *
 * Wall clocks are set, and those of two machines differ. So the stamp in a name tells the age only when the file is seen for
 * the first time, and then the monotonic clock goes on; and nobody is taken for dead before this process has waited itself.
 */
export class SpoolSurvey {
  /** Claims and half-written files of others, and when each was first seen; on the clock's scale. */
  private strangers = new Map<string, number>();

  constructor(private readonly init: SpoolSurveyInit) {}

  /**
   * @param known - by name: what was found the last time, and what was written since
   * @param held - what this process has claimed itself, by the name that it has meanwhile
   * @throws Error of the system when there is no folder, or none that can be read
   */
  async look(
    known: ReadonlyMap<string, SpoolFile>,
    held: ReadonlyMap<string, SpoolFile>,
  ): Promise<SpoolFindings> {
    const { folder } = this.init;
    await makeFolder(folder);
    const files: SpoolFile[] = [];
    const strangers = new Map<string, number>();
    let claimedBytes = 0;
    for (const name of await readdir(folder)) {
      if (held.has(name)) continue;
      const entry = parseSpoolName(name);
      const half = parseHalfWritten(name);
      const stampMs = half?.wroteMs ?? entry?.claimedMs;
      const isOver = stampMs !== undefined && this.isOver(name, stampMs, strangers);
      if (half !== undefined && isOver) await this.remove(name, half.spans, 'spool_torn', 'half written');
      if (entry === undefined) continue;
      const file = known.get(entry.name) ?? (await this.found(entry, name));
      if (entry.claimedMs !== undefined && !(isOver && (await this.takeOver(name, entry))))
        claimedBytes += file.bytes;
      else if (!(await this.droppedForAge(file))) files.push(file);
    }
    this.strangers = strangers;
    files.sort((a, b) => a.wroteAt - b.wroteAt);
    return { files, claimedBytes };
  }

  /** Whether whoever made it must have ended. */
  private isOver(name: string, stampMs: number, strangers: Map<string, number>): boolean {
    const { clock, claimMs, maxAgeMs } = this.init;
    const now = clock.now();
    const seenAt = this.strangers.get(name) ?? now;
    strangers.set(name, seenAt);
    // Processes that live for less than that have to clear up, too.
    return now - seenAt >= claimMs || clock.wallMs() - stampMs > maxAgeMs;
  }

  private async found(entry: SpoolName, name: string): Promise<SpoolFile> {
    const { folder, clock } = this.init;
    const age = Math.max(0, clock.wallMs() - entry.wroteMs);
    // One that has just gone takes no room.
    const bytes = await stat(join(folder, name)).then(
      ({ size }) => diskBytes(size),
      () => 0,
    );
    const wroteAt = clock.now() - age;
    return {
      entry: { ...entry, claimedMs: undefined },
      bytes,
      wroteAt,
      dueAt: Number.NEGATIVE_INFINITY,
      failures: 0,
    };
  }

  private async takeOver(name: string, entry: SpoolName): Promise<boolean> {
    const { folder } = this.init;
    try {
      await rename(join(folder, name), join(folder, entry.name));
      return true;
    } catch {
      // Somebody else was faster, or it was sent after all.
      return false;
    }
  }

  private async droppedForAge({ entry, wroteAt }: SpoolFile): Promise<boolean> {
    const { clock, maxAgeMs } = this.init;
    if (clock.now() - wroteAt <= maxAgeMs) return false;
    await this.remove(entry.name, entry.spans, 'retry_exhausted', 'it was there for too long');
    return true;
  }

  /** Removes a file. Only who does it counts what was in it. */
  async remove(name: string, spans: number, reason: LossReason, why: string): Promise<void> {
    const { folder, lost } = this.init;
    try {
      await rm(join(folder, name));
    } catch {
      return;
    }
    lost(reason, spans, `${folder}: ${why}`);
  }
}
