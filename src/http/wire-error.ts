import type { Outcome } from '../core/outcome.js';

/** Codes by which a request was refused before it went out, or that tell of the caller's own upload. */
const ownFault: ReadonlySet<string> = new Set([
  'ABORT_ERR',
  'EACCES',
  'EISDIR',
  'ENOENT',
  'UND_ERR_ABORTED',
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
]);

/** Errors are chained a few deep at most; a longer chain is a loop. */
const deepest = 8;

interface SystemError {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly syscall?: unknown;
  readonly cause?: unknown;
}

/** The first with a code along the causes: `fetch` hides it under a TypeError, other clients under errors of their own. */
function coded(error: unknown): SystemError | undefined {
  let at = error;
  for (let depth = 0; depth < deepest && typeof at === 'object' && at !== null; depth++) {
    if (typeof (at as SystemError).code === 'string') return at as SystemError;
    at = (at as SystemError).cause;
  }
  return undefined;
}

function isOwnFault({ code, syscall }: SystemError): boolean {
  // A firewall or a missing socket gives the codes of files too.
  if (syscall === 'connect') return false;
  return ownFault.has(code as string) || (code as string).startsWith('ERR_INVALID_');
}

/**
 * What an error of a wire says of the callee. Refused, reset, timed out, unresolved, bad certificate: `failure`, also on
 * a kept connection that was closed while the request was on its way. A request that could not be made (bad URL, bad
 * header, an upload that failed) and an abort say nothing: `ignored`.
 *
 * `fetch` reports all of these as a TypeError; those of the network have a cause with a code.
 */
export function classifyError(error: unknown): Outcome {
  const name = typeof error === 'object' && error !== null ? (error as SystemError).name : undefined;
  if (name === 'AbortError') return 'ignored';
  const found = coded(error);
  if (found === undefined) return name === 'TypeError' ? 'ignored' : 'failure';
  return isOwnFault(found) ? 'ignored' : 'failure';
}
