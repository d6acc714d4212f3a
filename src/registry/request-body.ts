import type { IncomingMessage } from 'node:http';

/** What became of a body: its text, or why there is none. */
export type Body = { readonly text: string } | 'too large' | 'gone';

/** A body up to this many times the bound is read to its end, and thrown away: who is cut while sending may not see the answer. */
const patience = 4;
/** Or up to so many bytes, more than any node tells another at once. */
const patientBytes = 1024 * 1024;

/**
 * Reads a body into memory, up to a bound. One that never ends is the server's `requestTimeout`'s to end.
 *
 * @param maxBytes - beyond it nothing is kept
 */
export function readBody(request: IncomingMessage, maxBytes: number): Promise<Body> {
  const readBytes = Math.max(maxBytes * patience, patientBytes);
  if (Number(request.headers['content-length'] ?? 0) > readBytes) return Promise.resolve('too large');
  return new Promise((resolve) => {
    let chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) chunks.push(chunk);
      else chunks = [];
      if (bytes > readBytes) resolve('too large');
    });
    request.once('end', () =>
      resolve(bytes > maxBytes ? 'too large' : { text: Buffer.concat(chunks).toString('utf8') }),
    );
    request.once('error', () => resolve('gone'));
    request.once('close', () => resolve('gone'));
  });
}
