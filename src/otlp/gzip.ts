import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { ownBytes } from './own-bytes.js';

const compress = promisify(zlib.gzip) as (body: Buffer, options: zlib.ZlibOptions) => Promise<Buffer>;
const expand = promisify(zlib.gunzip) as (body: Buffer, options: zlib.ZlibOptions) => Promise<Buffer>;

/** Spans are so alike that the fastest level makes them an eighth; the usual one saves another sixth, for three times the CPU. */
const level = 1;
/** What OTLP recommends as the largest request; larger is no batch of ours. */
const mostBytes = 67_108_864;

/** Compresses on the thread pool, off the thread that serves. */
export async function packed(body: Buffer): Promise<Buffer> {
  // What is short comes as the beginning of 16 KiB.
  return ownBytes(await compress(body, { level }));
}

/** The same, done when it returns: for the end of a process. */
export function packedNow(body: Buffer): Buffer {
  return zlib.gzipSync(body, { level });
}

/** @throws (as a rejection) Error for what is not gzip, or too large */
export async function unpacked(body: Buffer): Promise<Buffer> {
  return ownBytes(await expand(body, { maxOutputLength: mostBytes }));
}
