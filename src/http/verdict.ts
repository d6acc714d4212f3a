import { systemClock } from '../core/clock.js';
import type { Feedback, Outcome } from '../core/outcome.js';
import { loadHeader, parseLoad } from './load-header.js';
import { retryAfterMsHeader, shedHeader } from './reply.js';
import { parseRetryAfter, retryAfterCapMs } from './retry-after.js';

/** Headers of a response, of whichever client: what is no string is none. */
export interface AnsweredHeaders {
  /** The value, by a name in any case. */
  get(name: string): unknown;
}

function text(headers: AnsweredHeaders, name: string): string | null {
  const value = headers.get(name);
  return typeof value === 'string' ? value : null;
}

/**
 * What a status says of the callee: up to 499 a `success`, since who asks for what is not there gets a good answer; 429,
 * and 503 with our shed header, `overload`; any other a `failure`, except 501 and 505.
 */
export function outcomeOfStatus(status: number, headers: AnsweredHeaders): Outcome {
  if (status < 500) return status === 429 ? 'overload' : 'success';
  if (status === 503 && text(headers, shedHeader) !== null) return 'overload';
  // Neither is a sign of ill health: the method or the protocol is not for this server, or for any of its kind.
  return status === 501 || status === 505 ? 'success' : 'failure';
}

const readWallMs = (): number => systemClock.wallMs();

/** Our own servers tell milliseconds where they know them; their whole seconds are for others. */
function retryAfterOf(headers: AnsweredHeaders): number | undefined {
  const exact = text(headers, retryAfterMsHeader);
  if (exact !== null && /^\d{1,9}$/.test(exact)) return Math.min(Number(exact), retryAfterCapMs);
  if (text(headers, shedHeader) !== null) return undefined;
  return parseRetryAfter(text(headers, 'retry-after'), text(headers, 'date'), readWallMs);
}

/** What a response tells besides: how long to stay away (429 and 503), how loaded the server is. */
export function feedbackOfAnswer(status: number, headers: AnsweredHeaders): Feedback | undefined {
  const load = parseLoad(text(headers, loadHeader));
  const retryAfterMs = status === 429 || status === 503 ? retryAfterOf(headers) : undefined;
  if (load === undefined && retryAfterMs === undefined) return undefined;
  return {
    ...(load === undefined ? undefined : { load }),
    ...(retryAfterMs === undefined ? undefined : { retryAfterMs }),
  };
}
