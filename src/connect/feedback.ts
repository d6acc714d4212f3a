import { Code, type ConnectError } from '@connectrpc/connect';
import { systemClock } from '../core/clock.js';
import type { Feedback } from '../core/outcome.js';
import { retryAfterMsHeader, shedHeader } from '../core/refusal-reply.js';
import { loadHeader, parseLoad } from '../http/load-header.js';
import { parseRetryAfter, retryAfterCapMs } from '../http/retry-after.js';

/** Trailer by which a callee of gRPC asks not to be tried again for some milliseconds, or, by a negative number, at all. */
export const pushbackKey = 'grpc-retry-pushback-ms';

/** Codes that say "not now". */
const away: ReadonlySet<Code> = new Set([Code.ResourceExhausted, Code.Unavailable]);

/** What is negative or cannot be read means "not again", for which the longest stands. */
function pushbackMsOf(text: string): number {
  return /^\d{1,9}$/.test(text) ? Math.min(Number(text), retryAfterCapMs) : retryAfterCapMs;
}

/** How long the callee asks to be left alone; milliseconds, at most a minute. */
function retryAfterOf({ code, metadata }: ConnectError): number | undefined {
  const pushback = metadata.get(pushbackKey) ?? metadata.get(retryAfterMsHeader);
  if (pushback !== null) return pushbackMsOf(pushback);
  // Our own servers tell milliseconds where they know them; their whole seconds are for others.
  if (!away.has(code) || metadata.has(shedHeader)) return undefined;
  return parseRetryAfter(metadata.get('retry-after'), metadata.get('date'), () => systemClock.wallMs());
}

/** What a call tells besides how it ended: time that ran out, a wish to be left alone, the server's load. */
export function feedbackOf(
  error: ConnectError | undefined,
  header: Headers | undefined,
): Feedback | undefined {
  const load = parseLoad((error?.metadata ?? header)?.get(loadHeader));
  const timedOut = error?.code === Code.DeadlineExceeded;
  const retryAfterMs = error && retryAfterOf(error);
  if (load === undefined && retryAfterMs === undefined && !timedOut) return undefined;
  return {
    ...(timedOut ? { timedOut } : undefined),
    ...(load === undefined ? undefined : { load }),
    ...(retryAfterMs === undefined ? undefined : { retryAfterMs }),
  };
}
