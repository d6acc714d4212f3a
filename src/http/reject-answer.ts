import { STATUS_CODES, validateHeaderName, validateHeaderValue } from 'node:http';
import { type RejectionCode, rejections } from '../core/errors.js';
import { refusalHeaders, refusalText } from '../core/refusal-reply.js';

/** What an answer to a refused request depends on. */
export interface RejectCase {
  readonly code: RejectionCode;
  /** Whether the peer is believed, and told more. */
  readonly trusted: boolean;
  /** How long the connection is kept when it is idle, in milliseconds; 0 for ever. */
  readonly keepAliveMs: number;
}

/** The answer to a request that is refused, ready to be sent. */
export interface RejectAnswer {
  readonly status: number;
  /** Names and values in turn, without what Node adds itself. */
  readonly headers: readonly string[];
  readonly body: Buffer;
  /** All of it, as HTTP/1.1 on a connection that lives on. */
  readonly bytes: Buffer;
  /** The same for HEAD. */
  readonly headBytes: Buffer;
}

/** What is known when an answer is made. */
export interface RejectDetails {
  readonly retryAfterMs: number | undefined;
  /** Further headers; those that cannot be sent are left out, all of them. */
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly wallMs: number;
}

/** What Node writes of a connection that is kept. */
function keptFor(keepAliveMs: number): string {
  const kept = 'Connection: keep-alive\r\n';
  return keepAliveMs > 0 ? `${kept}Keep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n` : kept;
}

/** A line break in a value would begin a header of somebody else's: what Node's response would not take is no header. */
function further(headers: Readonly<Record<string, string>> = {}): readonly string[] {
  const entries = Object.entries(headers);
  try {
    for (const [name, value] of entries) {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    }
  } catch {
    return [];
  }
  return entries.flat();
}

/** Makes an answer: the same bytes that Node would send. */
export function rejectAnswer({ code, keepAliveMs }: RejectCase, details: RejectDetails): RejectAnswer {
  const told = { code, side: 'server', retryAfterMs: details.retryAfterMs } as const;
  const status = rejections[code].http;
  const body = Buffer.from(refusalText(told));
  const own = { 'content-type': 'text/plain; charset=utf-8', 'content-length': String(body.length) };
  const headers = Object.entries({ ...own, ...refusalHeaders(told) }).flat();
  headers.push(...further(details.headers));
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`;
  for (let at = 0; at + 1 < headers.length; at += 2) head += `${headers[at]}: ${headers[at + 1]}\r\n`;
  head += `Date: ${new Date(details.wallMs).toUTCString()}\r\n${keptFor(keepAliveMs)}\r\n`;
  const headBytes = Buffer.from(head, 'latin1');
  return { status, headers, body, headBytes, bytes: Buffer.concat([headBytes, body]) };
}

/** For so long an answer is given as it was made, in milliseconds: what it says of load and time to wait is a guess anyway. */
const freshMs = 100;

/** A server has one or two cases; whoever has this many changes something all the time. */
const mostCases = 16;

interface Kept {
  readonly of: RejectCase;
  readonly at: number;
  readonly answer: RejectAnswer;
}

function same(one: RejectCase, other: RejectCase): boolean {
  return one.code === other.code && one.trusted === other.trusted && one.keepAliveMs === other.keepAliveMs;
}

/** Keeps answers for as long as they are fresh. */
export class RejectAnswers {
  private kept: Kept[] = [];

  /** @param now - monotonic milliseconds */
  answerTo(wanted: RejectCase, now: number, detailsOf: () => RejectDetails): RejectAnswer {
    const known = this.kept.find(({ of }) => same(of, wanted));
    if (known !== undefined && now >= known.at && now - known.at < freshMs) return known.answer;
    const fresh = { of: wanted, at: now, answer: rejectAnswer(wanted, detailsOf()) };
    this.kept = [fresh, ...this.kept.filter((other) => other !== known)].slice(0, mostCases);
    return fresh.answer;
  }
}
