import type { TraceState } from '@opentelemetry/api';

/** Most members of a list; W3C Trace Context, 3.3.1.1. */
const maxMembers = 32;
/** 32 members of the longest keys and values, and room for white space. */
const longest = 32 * (256 + 1 + 256 + 8);

const validKey = /^[a-z\d][a-z\d_\-*/@]{0,255}$/;
const validValue = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

type Member = readonly [key: string, value: string];

class StrictTraceState implements TraceState {
  constructor(private readonly members: readonly Member[]) {}

  get(key: string): string | undefined {
    return this.members.find(([name]) => name === key)?.[1];
  }
  set(key: string, value: string): TraceState {
    if (!validKey.test(key) || !validValue.test(value)) return this;
    const others = this.members.filter(([name]) => name !== key);
    // The newest goes first; when the list is full the oldest, at its end, makes room.
    return new StrictTraceState([[key, value] as const, ...others].slice(0, maxMembers));
  }
  unset(key: string): TraceState {
    return new StrictTraceState(this.members.filter(([name]) => name !== key));
  }
  serialize(): string {
    return this.members.map(([key, value]) => `${key}=${value}`).join(',');
  }
}

/**
 * Reads a `tracestate` header.
 *
 * @param header - as received; several headers joined by a comma, in order
 * @returns `undefined` for none and for an empty one. One bad member, or more than 32, discard the whole: half of a list
 * would say something that nobody said. Of members of one name the first counts, which is the newest
 *
 * Source: W3C Trace Context, Level 2, section 3.3. OpenTelemetry's reader drops single members instead, refuses keys
 * with an `@` in any place but one, and cuts lists at 32 members and 512 characters.
 */
export function parseTracestate(header: string | undefined): TraceState | undefined {
  if (header === undefined || header.length > longest) return undefined;
  const members = new Map<string, string>();
  let count = 0;
  for (const part of header.split(',')) {
    const member = part.replace(/^[ \t]+|[ \t]+$/g, '');
    if (member === '') continue;
    const split = member.indexOf('=');
    const key = member.slice(0, Math.max(0, split));
    const value = member.slice(split + 1);
    if (++count > maxMembers || !validKey.test(key) || !validValue.test(value)) return undefined;
    if (!members.has(key)) members.set(key, value);
  }
  return count === 0 ? undefined : new StrictTraceState([...members]);
}
