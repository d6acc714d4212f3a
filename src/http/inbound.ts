import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { isIPv4, isIPv6, type Socket } from 'node:net';
import { type Carrier, lowerCase } from '../core/carrier.js';
import { aboutOption } from '../core/in-name-of.js';

class InboundHeaders implements Carrier {
  constructor(private readonly headers: IncomingHttpHeaders) {}
  get(name: string): string | undefined {
    const { headers } = this;
    // Names in code are in lower case mostly: then one look finds what is there.
    let value: unknown = headers[name];
    if (typeof value === 'string') return value;
    const lower = lowerCase(name);
    if (lower !== name) value = headers[lower];
    if (typeof value === 'string') return value;
    // Node's record has a prototype: a header named "constructor" would be a function.
    return Array.isArray(value) ? value.join(', ') : undefined;
  }
  set(name: string, value: string): void {
    this.headers[lowerCase(name)] = value;
  }
  keys(): Iterable<string> {
    return Object.keys(this.headers);
  }
}

/** The received headers as a carrier. */
export function inboundHeaders(req: IncomingMessage): Carrier {
  return new InboundHeaders(req.headers);
}

/** Whose word counts: nobody's, everybody's, peers on loopback and private networks, or as a function says. */
export type Trust = boolean | 'private' | ((req: IncomingMessage) => boolean);

function isPrivateV4(address: string): boolean {
  const [a = 0, b = 0] = address.split('.').map(Number);
  return (
    a === 10 ||
    a === 127 ||
    (a === 192 && b === 168) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 169 && b === 254) ||
    (a === 100 && b >= 64 && b < 128)
  );
}

/** Loopback, RFC 1918, link-local, RFC 6598 (container networks), unique local (RFC 4193). */
export function isPrivateAddress(address: string | undefined): boolean {
  if (address === undefined) return false;
  const bare = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
  if (isIPv4(bare)) return isPrivateV4(bare);
  return isIPv6(bare) && (bare === '::1' || /^(f[cd]..|fe[89ab].):/i.test(bare));
}

/** Asked once for each connection: its peer stays the same. */
function fromPrivate(): (req: IncomingMessage) => boolean {
  const known = new WeakMap<Socket, boolean>();
  return ({ socket }) => {
    let answer = known.get(socket);
    if (answer === undefined) {
      answer = isPrivateAddress(socket.remoteAddress);
      known.set(socket, answer);
    }
    return answer;
  };
}

function asked(trust: (req: IncomingMessage) => boolean): (req: IncomingMessage) => boolean {
  return (req) => {
    try {
      return trust(req) === true;
    } catch {
      return false;
    }
  };
}

/** Makes the question of {@link Trust} once, so that a request only asks it. A function that throws trusts nobody. */
export function truster(trust: Trust): (req: IncomingMessage) => boolean {
  if (typeof trust === 'function') return asked(trust);
  if (trust === 'private') return fromPrivate();
  if (typeof trust === 'boolean') return () => trust;
  throw aboutOption(
    new TypeError(`listener.trust must be a boolean, "private" or a function, got ${String(trust)}`),
  );
}
