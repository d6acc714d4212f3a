import type { Reply } from './reply.js';

/** A reply's body as it is written to a connection. */
export interface ReplyBody {
  readonly parts: readonly (string | Buffer)[];
  readonly length: number;
}

/** Up to it parts are put together: each part of its own costs the system more than copying it. */
const jointBytes = 64 * 1_024;

const known = new WeakMap<Reply, ReplyBody>();

/** The body of a reply; made once for one that thousands are sent. */
export function bodyOf(reply: Reply): ReplyBody {
  let body = known.get(reply);
  if (body === undefined) {
    body = make(reply.parts);
    known.set(reply, body);
  }
  return body;
}

function make(parts: Reply['parts']): ReplyBody {
  if (parts.every((part) => typeof part === 'string')) {
    const text = parts.join('');
    return { parts: [text], length: Buffer.byteLength(text) };
  }
  let length = 0;
  for (const part of parts) length += Buffer.byteLength(part);
  return { parts: length <= jointBytes ? [joint(parts)] : parts, length };
}

/** All of them as one. */
export function joint(parts: Reply['parts']): Buffer {
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}
