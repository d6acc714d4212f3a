import { Code, type ConnectError } from '@connectrpc/connect';
import { systemClock } from '../core/clock.js';
import type { Feedback, ServerLoad } from '../core/outcome.js';
import { retryAfterMsHeader, shedHeader, tellsOverload } from '../core/refusal-reply.js';
import { neverAgain, noRetry, retryHeader } from '../core/retried-below.js';
import { loadHeader, parseLoad } from '../http/load-header.js';
import { loadOfOrca, orcaBinaryHeader, parseOrcaBase64 } from '../http/orca.js';
import { parseRetryAfter, retryAfterCapMs } from '../http/retry-after.js';

/** Trailer by which a callee of gRPC asks not to be tried again for some milliseconds, or, by a negative number, at all. */
export const pushbackKey = 'grpc-retry-pushback-ms';

/** Codes that say "not now". */
const away: ReadonlySet<Code> = new Set([Code.ResourceExhausted, Code.Unavailable]);

/** Its value for: not at all. */
export const notAgain = '-1';

/** What is negative or cannot be read means "not again". */
function pushbackMsOf(text: string): number {
  return /^\d{1,9}$/.test(text) ? Math.min(Number(text), retryAfterCapMs) : neverAgain;
}

/** How long the callee asks to be left alone; milliseconds, at most a minute. */
function retryAfterOf({ code, metadata }: ConnectError): number | undefined {
  if (metadata.get(retryHeader) === noRetry) return neverAgain;
  const pushback = metadata.get(pushbackKey) ?? metadata.get(retryAfterMsHeader);
  if (pushback !== null) return pushbackMsOf(pushback);
  // Our own servers tell milliseconds where they know them; their whole seconds are for others.
  if (!away.has(code) || metadata.has(shedHeader)) return undefined;
  return parseRetryAfter(metadata.get('retry-after'), metadata.get('date'), () => systemClock.wallMs());
}

/** What of a response is looked at. */
interface Headed {
  readonly header: Headers;
  /** Of a stream: empty until its end. */
  readonly trailer?: Headers;
}

/** By our own key or, of servers of others, by ORCA, which they tell of in trailers. */
function loadOf(header: Headers | undefined, trailer = header): ServerLoad | undefined {
  const own = parseLoad(header?.get(loadHeader) ?? trailer?.get(loadHeader));
  if (own !== undefined) return own;
  const report = trailer?.get(orcaBinaryHeader);
  return report ? loadOfOrca(parseOrcaBase64(report)) : undefined;
}

/** What a call tells besides how it ended: time that ran out, a wish to be left alone, the server's load. */
export function feedbackOf(
  error: ConnectError | undefined,
  answer: Headed | undefined,
): Feedback | undefined {
  const load = error === undefined ? loadOf(answer?.header, answer?.trailer) : loadOf(error.metadata);
  const timedOut = error?.code === Code.DeadlineExceeded;
  const retryAfterMs = error && retryAfterOf(error);
  const overloaded = tellsOverload(error?.metadata.get(shedHeader));
  if (load === undefined && retryAfterMs === undefined && !timedOut && !overloaded) return undefined;
  return {
    ...(overloaded ? { overloaded } : undefined),
    ...(timedOut ? { timedOut } : undefined),
    ...(load === undefined ? undefined : { load }),
    ...(retryAfterMs === undefined ? undefined : { retryAfterMs }),
  };
}
