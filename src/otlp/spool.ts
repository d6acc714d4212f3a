import { randomBytes } from 'node:crypto';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EncodingName } from './encoding.js';
import {
  readSpoolFile,
  type SpoolContent,
  spoolBytes,
  Torn,
  writeSpoolFile,
  writeSpoolFileNow,
} from './spool-file.js';
import { makeFolder, makeFolderNow, tryFolder } from './spool-folder.js';
import { claimName, halfName, parseSpoolName, type SpoolClaim, spoolName } from './spool-name.js';
import { type SpoolFile, SpoolSurvey, type SpoolSurveyInit } from './spool-survey.js';

/** What {@link Spool} needs. */
export interface SpoolInit extends SpoolSurveyInit {
  readonly maxBytes: number;
  /** Whether it can be sent. What cannot is left for who can. */
  readonly carries: (encoding: EncodingName) => boolean;
}

/** What a file is made from. */
export interface Spoolable extends SpoolContent {
  readonly encoding: EncodingName;
  readonly gzipped: boolean;
}

/** A file that was read, to be sent. */
export interface Spooled {
  readonly claim: SpoolClaim;
  readonly body: Buffer;
  readonly failures: number;
}

/** Other processes write into the folder too, and leave files behind when they die. */
const rescanMs = 30_000;
/** After a failure the disk is left alone for so long; milliseconds. */
const stuckMs = 1_000;

const isMissing = (error: unknown): boolean => (error as { code?: unknown } | null)?.code === 'ENOENT';
const nothing = (): void => undefined;

/**
 * Batches on the disk, for the time that the collector is away: they survive the process, and whoever uses the folder next
 * sends them. A process takes a file by renaming it, which only one can do, so none is sent twice while its taker lives.
 *
 * Reading and writing is done one after the other.
 */
export class Spool {
  private known: SpoolFile[] = [];
  /** Files that others are sending. */
  private claimedBytes = 0;
  /** What this process is sending, by the names that the files have meanwhile. */
  private readonly held = new Map<string, SpoolFile>();
  private readonly survey: SpoolSurvey;
  private readonly token = randomBytes(8).toString('hex');
  private serial = 0;
  private scannedAt = Number.NEGATIVE_INFINITY;
  private stuckAt = Number.NEGATIVE_INFINITY;
  private turn: Promise<unknown> = Promise.resolve();
  private writing: { readonly batch: Spoolable; readonly name: string; stands: boolean } | undefined;
  private stopped = false;
  private written = 0;
  private replayed = 0;
  private torn = 0;

  constructor(private readonly init: SpoolInit) {
    this.survey = new SpoolSurvey(init);
  }

  /** Plain numbers of what is there, and of what was done. */
  get stats() {
    const { known, written, replayed, torn } = this;
    return {
      files: known.length + this.held.size,
      bytes: this.bytes,
      spans: known.reduce((sum, { entry }) => sum + entry.spans, 0),
      written,
      replayed,
      torn,
    };
  }

  private get bytes(): number {
    let sum = this.claimedBytes;
    for (const { bytes } of this.known) sum += bytes;
    for (const { bytes } of this.held.values()) sum += bytes;
    return sum;
  }

  /** How long until there may be something to send; 0 for now; milliseconds. */
  waitMs(now: number): number {
    let wait = Math.min(rescanMs, Math.max(0, this.scannedAt + rescanMs - now));
    for (const { entry, dueAt } of this.known)
      if (this.init.carries(entry.encoding)) wait = Math.min(wait, Math.max(0, dueAt - now));
    return wait;
  }

  /** Whether the disk has just failed: there is no use in asking it again at once. */
  isStuck(now: number): boolean {
    return Math.abs(now - this.stuckAt) < stuckMs;
  }

  /**
   * Tries whether the folder can be written to. One that cannot be now may be later; until then it has just failed. Never
   * rejects.
   *
   * @returns why not; `undefined` if it can
   */
  fault(): Promise<string | undefined> {
    return this.next(async () => {
      if (this.stopped) return undefined;
      // The name of a file that is half written: should this process end now, others remove it.
      const name = halfName(this.newName({ spans: 0, encoding: 'protobuf', gzipped: false }));
      try {
        await tryFolder(this.init.folder, this.at(name));
        return undefined;
      } catch (error) {
        this.stuckAt = this.init.clock.now();
        return error instanceof Error ? error.message : String(error);
      }
    });
  }

  /**
   * Writes a batch.
   *
   * @returns whether there was room; if not, it is counted as lost
   * @throws (as a rejection) Error when the disk does not take it, or it came too late; it is the caller's still
   */
  put(batch: Spoolable): Promise<boolean> {
    return this.next(async () => {
      if (this.stopped) throw new Error('the end of the process');
      try {
        return await this.write(batch);
      } catch (error) {
        this.stuckAt = this.init.clock.now();
        throw error;
      }
    });
  }

  /** Takes the oldest batch that is due, so that nobody else does; never rejects. */
  take(): Promise<Spooled | undefined> {
    return this.next(async () => {
      if (this.stopped) return undefined;
      await this.look();
      return this.claimOldest();
    });
  }

  /** It was sent, or there is no use in it: the file goes. Never rejects. */
  done({ entry, heldAs }: SpoolClaim, sent: boolean): Promise<void> {
    return this.next(async () => {
      this.held.delete(heldAs);
      if (sent) this.replayed += entry.spans;
      await rm(this.at(heldAs), { force: true }).catch(nothing);
    });
  }

  /** It was not sent: another try by anybody, here not before that time. Never rejects. */
  putBack({ entry, heldAs }: SpoolClaim, dueAt: number): Promise<void> {
    return this.next(async () => {
      const file = this.held.get(heldAs);
      this.held.delete(heldAs);
      try {
        await rename(this.at(heldAs), this.at(entry.name));
        if (file) this.known.push({ ...file, dueAt, failures: file.failures + 1 });
      } catch {
        // It is found again when the claim has run out.
      }
    });
  }

  /**
   * The end: nothing more is written or taken, and what is being written is not finished. What was taken can be given back
   * still.
   *
   * @returns the batch whose file is being given its name: that one is there, as far as anybody can know
   */
  stop(): Spoolable | undefined {
    this.stopped = true;
    return this.writing?.stands === true ? this.writing.batch : undefined;
  }

  /**
   * The end of the process at this moment: writes what can be written, and gives back what was taken, before it returns.
   * Nothing has to make room for it.
   *
   * @returns those that are not on the disk
   */
  salvage(batches: readonly Spoolable[]): readonly Spoolable[] {
    this.stopped = true;
    const { writing } = this;
    try {
      makeFolderNow(this.init.folder);
      if (writing !== undefined) rmSync(this.at(halfName(writing.name)), { force: true });
      for (const [heldAs, { entry }] of this.held) renameSync(this.at(heldAs), this.at(entry.name));
    } catch {
      // Others find it when its time has run out.
    }
    return batches.filter((batch) => {
      if (batch === writing?.batch && existsSync(this.at(writing.name))) return false;
      if (this.bytes + spoolBytes(batch.body) > this.init.maxBytes) return true;
      const name = this.newName(batch);
      try {
        writeSpoolFileNow(this.at(name), batch);
      } catch {
        return true;
      }
      this.add(name, batch);
      return false;
    });
  }

  private next<T>(run: () => Promise<T>): Promise<T> {
    const done = this.turn.then(run);
    this.turn = done.catch(nothing);
    return done;
  }

  private at(name: string): string {
    return join(this.init.folder, name);
  }

  private async write(batch: Spoolable): Promise<boolean> {
    const { maxBytes, lost, folder } = this.init;
    await this.look();
    const bytes = spoolBytes(batch.body);
    if (this.bytes + bytes > maxBytes) {
      await this.scan();
      await this.makeRoom(maxBytes - bytes);
    }
    if (this.bytes + bytes > maxBytes) {
      lost('spool_full', batch.spans, `${folder} has ${this.bytes} bytes of ${maxBytes}`);
      return false;
    }
    try {
      await this.store(batch);
    } catch (error) {
      // Whoever clears temporary folders has taken it away.
      if (!isMissing(error)) throw error;
      await makeFolder(folder);
      await this.store(batch);
    }
    return true;
  }

  private newName(batch: Pick<Spoolable, 'spans' | 'encoding' | 'gzipped'>): string {
    const author = { token: this.token, serial: ++this.serial };
    return spoolName(batch, this.init.clock.wallMs(), author);
  }

  private async store(batch: Spoolable): Promise<void> {
    const name = this.newName(batch);
    const writing = { batch, name, stands: false };
    this.writing = writing;
    const mayStand = (): boolean => {
      writing.stands = !this.stopped;
      return writing.stands;
    };
    try {
      const stands = await writeSpoolFile(this.at(name), batch, mayStand);
      if (!stands) throw new Error('the end of the process');
      this.add(name, batch);
    } finally {
      this.writing = undefined;
    }
  }

  private add(name: string, { body, spans }: Spoolable): void {
    const entry = parseSpoolName(name);
    if (entry === undefined) return;
    const wroteAt = this.init.clock.now();
    this.known.push({
      entry,
      bytes: spoolBytes(body),
      wroteAt,
      dueAt: Number.NEGATIVE_INFINITY,
      failures: 0,
    });
    this.written += spans;
  }

  /** Drops the oldest until there are no more bytes than that. */
  private async makeRoom(left: number): Promise<void> {
    while (this.bytes > left) {
      const oldest = this.known.shift();
      if (oldest === undefined) return;
      const { name, spans } = oldest.entry;
      await this.survey.remove(name, spans, 'spool_full', 'the oldest made room');
    }
  }

  private async claimOldest(): Promise<Spooled | undefined> {
    const { clock, carries, lost } = this.init;
    const now = clock.now();
    for (;;) {
      const index = this.known.findIndex(({ entry, dueAt }) => dueAt <= now && carries(entry.encoding));
      const [file] = index < 0 ? [] : this.known.splice(index, 1);
      if (file === undefined) return undefined;
      const { entry, failures } = file;
      const heldAs = claimName(entry.name, clock.wallMs(), this.token);
      try {
        await rename(this.at(entry.name), this.at(heldAs));
      } catch {
        // Somebody else has it.
        continue;
      }
      try {
        const { body } = await readSpoolFile(this.at(heldAs));
        this.held.set(heldAs, file);
        return { claim: { entry, heldAs }, body, failures };
      } catch (error) {
        if (!(error instanceof Torn)) {
          await this.leaveForLater(file, heldAs);
          return undefined;
        }
        this.torn++;
        lost('spool_torn', entry.spans, `${entry.name}: ${error.message}`);
        await rm(this.at(heldAs), { force: true }).catch(nothing);
      }
    }
  }

  /** It cannot be read now: too many open files, no memory, a disk that fails. It may be whole. */
  private async leaveForLater(file: SpoolFile, heldAs: string): Promise<void> {
    const dueAt = this.init.clock.now() + stuckMs;
    try {
      await rename(this.at(heldAs), this.at(file.entry.name));
      this.known.push({ ...file, dueAt });
    } catch {
      // It is gone, or it is found again when the claim has run out.
    }
  }

  /** Looks what there is, from time to time. What cannot be seen now may be seen later. */
  private async look(): Promise<void> {
    if (Math.abs(this.init.clock.now() - this.scannedAt) >= rescanMs) await this.scan();
  }

  private async scan(): Promise<void> {
    const now = this.init.clock.now();
    this.scannedAt = now;
    try {
      const known = new Map(this.known.map((file) => [file.entry.name, file]));
      const { files, claimedBytes } = await this.survey.look(known, this.held);
      this.known = files;
      this.claimedBytes = claimedBytes;
    } catch {
      // Whoever writes hears why.
      this.scannedAt = now - rescanMs + stuckMs;
    }
  }
}
