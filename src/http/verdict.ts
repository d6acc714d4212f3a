import { systemClock } from '../core/clock.js';
import type { Feedback, Outcome, ServerLoad } from '../core/outcome.js';
import { tellsOverload } from '../core/refusal-reply.js';
import { neverAgain, noRetry, retryHeader } from '../core/retried-below.js';
import { tiedHeader } from '../core/tied-copy.js';
import { loadHeader, parseLoad } from './load-header.js';
import { loadOfOrca, orcaBinaryHeader, orcaHeader, parseOrca, parseOrcaBase64 } from './orca.js';
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
  if (status < 500) {
    if (status === 429) return 'overload';
    // One of two copies, which did not run: neither good nor bad.
    return status === 499 && text(headers, tiedHeader) !== null ? 'ignored' : 'success';
  }
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

/** How loaded the server is, by our own header or, of servers of others, by ORCA. */
export function loadOfAnswer(headers: AnsweredHeaders): ServerLoad | undefined {
  const own = parseLoad(text(headers, loadHeader));
  if (own !== undefined) return own;
  const orca = text(headers, orcaHeader);
  if (orca !== null) return loadOfOrca(parseOrca(orca));
  const binary = text(headers, orcaBinaryHeader);
  return binary === null ? undefined : loadOfOrca(parseOrcaBase64(binary));
}

/** How long to stay away, of an answer that says so; for ever if the failure was retried further down. */
function awayOf(status: number, headers: AnsweredHeaders): number | undefined {
  if (status < 500 && status !== 429) return undefined;
  if (text(headers, retryHeader) === noRetry) return neverAgain;
  return status === 429 || status === 503 ? retryAfterOf(headers) : undefined;
}

/** What a response tells besides: how long to stay away, that or how much the server is loaded. */
export function feedbackOfAnswer(status: number, headers: AnsweredHeaders): Feedback | undefined {
  const load = loadOfAnswer(headers);
  const retryAfterMs = awayOf(status, headers);
  const overloaded = status === 503 && tellsOverload(text(headers, shedHeader));
  if (load === undefined && retryAfterMs === undefined && !overloaded) return undefined;
  return {
    ...(overloaded ? { overloaded } : undefined),
    ...(load === undefined ? undefined : { load }),
    ...(retryAfterMs === undefined ? undefined : { retryAfterMs }),
  };
}
