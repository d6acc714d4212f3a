import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { halfName } from './spool-name.js';

/** `KSP1`, the length of what follows, its checksum, the number of spans; each four bytes. */
const magic = 0x3150_534b;
const headBytes = 16;
/** Larger is nothing that was written here. */
const mostBytes = 134_217_728;
/** Disks give whole blocks: a folder of very small files takes more than they hold. */
const blockBytes = 4_096;

/** What a spool file holds. */
export interface SpoolContent {
  readonly body: Buffer;
  readonly spans: number;
}

/** A file that is none of ours, or not all of one: there is no use in it. */
export class Torn extends Error {}

/** How many bytes a file of that length takes on the disk. */
export function diskBytes(length: number): number {
  return Math.max(1, Math.ceil(length / blockBytes)) * blockBytes;
}

/** How many bytes a body takes on the disk. */
export function spoolBytes(body: Buffer): number {
  return diskBytes(headBytes + body.length);
}

function headOf({ body, spans }: SpoolContent): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32LE(magic, 0);
  head.writeUInt32LE(body.length, 4);
  head.writeUInt32LE(crc32(body), 8);
  head.writeUInt32LE(spans, 12);
  return head;
}

// Readable by this user alone: spans tell more than others should know.
const anew = { mode: 0o600, flag: 'wx' } as const;

/**
 * Writes a file so that a reader finds all of it or nothing: to another name, then renamed. It is not forced to the disk: a
 * process that dies loses nothing by that, and a power failure leaves a file whose checksum says so.
 *
 * @param mayStand - asked when all is written: whether it is to get its name
 * @returns whether it has
 * @throws Error when it cannot be written; nothing is left of it then
 */
export async function writeSpoolFile(
  path: string,
  content: SpoolContent,
  mayStand: () => boolean,
): Promise<boolean> {
  const beside = halfName(path);
  try {
    await writeFile(beside, [headOf(content), content.body], anew);
    if (mayStand()) {
      await rename(beside, path);
      return true;
    }
  } catch (error) {
    await rm(beside, { force: true }).catch(() => undefined);
    throw error;
  }
  await rm(beside, { force: true }).catch(() => undefined);
  return false;
}

/**
 * The same, done when it returns.
 *
 * @throws Error when it cannot be written; nothing is left of it then
 */
export function writeSpoolFileNow(path: string, content: SpoolContent): void {
  const beside = halfName(path);
  try {
    writeFileSync(beside, Buffer.concat([headOf(content), content.body]), anew);
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}

/**
 * Reads a file.
 *
 * @throws Torn when there is no use in it; Error of the system when it cannot be read, now
 */
export async function readSpoolFile(path: string): Promise<SpoolContent> {
  const { size } = await stat(path);
  if (size < headBytes || size > mostBytes) throw new Torn(`a spool file of ${size} bytes`);
  const file = await readFile(path);
  const body = file.subarray(headBytes);
  if (file.length < headBytes || file.readUInt32LE(0) !== magic) throw new Torn('no spool file');
  if (file.readUInt32LE(4) !== body.length || file.readUInt32LE(8) !== crc32(body))
    throw new Torn('a torn spool file');
  return { body, spans: file.readUInt32LE(12) };
}
