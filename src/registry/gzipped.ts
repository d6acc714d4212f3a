import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Reply } from './reply.js';
import { joint } from './reply-body.js';

const compress = promisify(gzip);
/** Below it the header alone eats up what is saved. */
export const leastGzipBytes = 1_024;

const known = new WeakMap<Reply, Promise<Buffer>>();

/** A reply's body, compressed: once, however many it is sent to, and off the thread that serves. */
export function gzipped(reply: Reply): Promise<Buffer> {
  let body = known.get(reply);
  if (body === undefined) {
    body = compress(joint(reply.parts));
    known.set(reply, body);
  }
  return body;
}

/** Whether a client takes gzip, by its header `accept-encoding`. */
export function takesGzip(accepted: string | undefined): boolean {
  if (accepted === undefined) return false;
  for (const item of accepted.split(',')) {
    const [name = '', ...details] = item
      .trim()
      .toLowerCase()
      .split(/\s*;\s*/);
    if (name === 'gzip' || name === 'x-gzip') return !details.some((detail) => /^q=0(\.0*)?$/.test(detail));
  }
  return false;
}
