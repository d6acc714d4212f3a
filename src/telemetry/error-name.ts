import { isGovernanceError } from '../core/errors.js';

/** Codes of systems and libraries: `ECONNRESET`, `UND_ERR_SOCKET`. Anything else may be a text with ids in it. */
const code = /^[A-Z][A-Z0-9_]{1,63}$/;
const name = /^[A-Za-z_$][\w$.]{0,127}$/;

interface Coded {
  readonly code?: unknown;
  readonly cause?: unknown;
  readonly name?: unknown;
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const own = (error as Coded).code;
  return typeof own === 'string' && code.test(own) ? own : undefined;
}

/**
 * The value of `error.type`: the code of a refusal, else of the system or of what lies directly behind the error
 * (`fetch` hides it there), else the name of the error's class. Of low cardinality: never a message.
 */
export function errorTypeOf(error: unknown): string {
  if (isGovernanceError(error)) return error.code;
  const found = codeOf(error) ?? codeOf((error as Coded | undefined | null)?.cause);
  if (found !== undefined) return found;
  const named = (error as Coded | undefined | null)?.name;
  return typeof named === 'string' && name.test(named) ? named : '_OTHER';
}
