/** One entry of a baggage. */
export interface BaggageMember {
  /** A token (RFC 7230); case counts. */
  readonly key: string;
  /** Decoded. */
  readonly value: string;
  /** What follows the value after a semicolon, as it was written. */
  readonly properties?: string | undefined;
}

/** Most members that are read or written; W3C Baggage, 3.3.2. */
const maxMembers = 64;
/** Most bytes of a header that are read or written. */
const maxBytes = 8192;

const token = /^[!#$%&'*+.^_`|~\dA-Za-z-]+$/;
const octets = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/;
/** What may not stand in a value as it is, the percent sign included. */
const escapes = /[^\x21\x23\x24\x26-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]/gu;

/** A percent sign that begins no escape stands for itself; bytes that are no UTF-8 become U+FFFD. */
function decode(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    const bytes: number[] = [];
    for (let at = 0; at < text.length; at++) {
      const byte = /^%[\da-fA-F]{2}/.exec(text.slice(at, at + 3));
      bytes.push(byte ? Number.parseInt(text.slice(at + 1, at + 3), 16) : text.charCodeAt(at));
      if (byte) at += 2;
    }
    return new TextDecoder().decode(Uint8Array.from(bytes));
  }
}

function encode(text: string): string {
  // Half of a surrogate pair has no encoding at all.
  return text.replace(escapes, (character) =>
    /^[\ud800-\udfff]$/.test(character) ? '%EF%BF%BD' : encodeURIComponent(character),
  );
}

function isProperty(text: string): boolean {
  const split = text.indexOf('=');
  if (split < 0) return token.test(text.trim());
  return token.test(text.slice(0, split).trim()) && octets.test(text.slice(split + 1).trim());
}

function parseMember(text: string): BaggageMember | undefined {
  const [pair = '', ...properties] = text.split(';');
  const split = pair.indexOf('=');
  if (split < 0) return undefined;
  const key = pair.slice(0, split).trim();
  const value = pair.slice(split + 1).trim();
  if (!token.test(key) || !octets.test(value) || !properties.every(isProperty)) return undefined;
  const kept = properties.map((property) => property.trim()).join(';');
  return kept === '' ? { key, value: decode(value) } : { key, value: decode(value), properties: kept };
}

/**
 * Reads a `baggage` header: at most 64 members and 8192 bytes. A member that breaks the grammar is left out, the others
 * stay; what is beyond the limits is left out, the first come first.
 *
 * @param header - as received; several headers joined by a comma
 *
 * Source: W3C Baggage, section 3. OpenTelemetry's reader takes 180 members, decodes keys, which are tokens, and drops
 * members whose value is empty or is escaped wrongly.
 */
export function parseBaggage(header: string | undefined): BaggageMember[] {
  const members: BaggageMember[] = [];
  if (header === undefined) return members;
  let from = 0;
  while (from < header.length && members.length < maxMembers) {
    const comma = header.indexOf(',', from);
    const end = comma < 0 ? header.length : comma;
    if (end > maxBytes) break;
    const member = parseMember(header.slice(from, end));
    if (member !== undefined) members.push(member);
    from = end + 1;
  }
  return members;
}

/**
 * Writes a `baggage` header: at most 64 members and 8192 bytes; what does not fit is left out. A key that is no token is
 * escaped; properties that break the grammar are left out.
 *
 * @returns an empty string when there is nothing to write
 */
export function formatBaggage(members: Iterable<BaggageMember>): string {
  let header = '';
  let count = 0;
  for (const { key, value, properties } of members) {
    if (count === maxMembers) break;
    const name = token.test(key)
      ? key
      : encode(key).replace(/[^!#$%&'*+.^_`|~\dA-Za-z-]/g, encodeURIComponent);
    if (!token.test(name)) continue;
    const tail = properties?.split(';').every(isProperty) ? `;${properties}` : '';
    const member = `${name}=${encode(value)}${tail}`;
    if (header.length + member.length + 1 > maxBytes) continue;
    header = header === '' ? member : `${header},${member}`;
    count++;
  }
  return header;
}
