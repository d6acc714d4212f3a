import type { IncomingMessage } from 'node:http';

/** A body up to this size Node reads and drops by itself, and the connection lives on; bytes. */
export const smallBodyBytes = 65_536;

/** Names and values. One with more headers is rare, and Node may have cut off the one that matters. */
const mostRawHeaders = 200;

/**
 * Whether a request of HTTP/1.1 can be answered without Node's response: nothing of it asks for more than a status, and
 * what is still to come of it is for the parser to drop. How long it is stays the parser's business, so an answer that is
 * given early cannot set the two ends at odds about where the next request begins; all with `Transfer-Encoding`, which
 * such attacks need, are left to Node.
 *
 * @param req - its headers are looked at as they came: Node's record of them would cost as much as all the rest
 */
export function isPlainRequest(req: IncomingMessage): boolean {
  const { rawHeaders } = req;
  if (req.httpVersionMajor !== 1 || req.httpVersionMinor !== 1 || rawHeaders.length > mostRawHeaders)
    return false;
  // An upgrade that nobody takes: Node unsets it for those that are answered as plain requests.
  if ((req as { readonly upgrade?: boolean | null }).upgrade === true) return false;
  let hosts = 0;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    // By length first: hardly any has to be compared.
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === 'host') hosts++;
        break;
      case 6:
        if (name.toLowerCase() === 'expect') return false;
        break;
      case 14:
        if (name.toLowerCase() === 'content-length' && !(Number(rawHeaders[at + 1]) <= smallBodyBytes))
          return false;
        break;
      case 17:
        if (name.toLowerCase() === 'transfer-encoding') return false;
        break;
    }
  }
  // Without one it is Node's to answer with 400.
  return hosts === 1;
}

/** The value of a header that came once; `undefined` otherwise. The name in lower case. */
export function rawHeader({ rawHeaders }: IncomingMessage, wanted: string): string | undefined {
  let value: string | undefined;
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if (name.length !== wanted.length || name.toLowerCase() !== wanted) continue;
    if (value !== undefined) return undefined;
    value = rawHeaders[at + 1];
  }
  return value;
}
