import { type Metadata, status } from '@grpc/grpc-js';
import { isGovernanceError } from '../core/errors.js';
import { shedHeader } from '../core/refusal-reply.js';
import { loadHeader } from '../http/load-header.js';
import { orcaBinaryHeader } from '../http/orca.js';
import { pushbackKey, statusOfRefusal } from './status.js';

/** What grpc-js takes for an error that says its own status: a `ServiceError`, or a plain object of that form. */
interface Coded {
  readonly code: number;
  readonly details?: unknown;
  readonly message?: unknown;
  readonly metadata?: Metadata | null | undefined;
}

/**
 * Whether an error says its own status: by a number under `code`. grpc-js takes any for one, also those that databases and
 * `DOMException` have there; here it has to be a status, and not OK.
 */
export function isCoded(error: unknown): error is Coded {
  if (typeof error !== 'object' || error === null) return false;
  const { code } = error as Partial<Coded>;
  return typeof code === 'number' && code !== status.OK && status[code] !== undefined;
}

const textOf = ({ details, message }: Coded): string =>
  [details, message].find((text) => typeof text === 'string') ?? '';

/**
 * The status that a server answers an error with: a refusal's own, that of an error that has one under `code`, and
 * UNKNOWN without details for anything else, which was not meant for whoever called.
 */
export function statusOfError(error: unknown): {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata | null;
} {
  if (isGovernanceError(error)) return statusOfRefusal(error);
  if (!isCoded(error)) return { code: status.UNKNOWN, details: 'Unknown error', metadata: null };
  return { code: error.code, details: textOf(error), metadata: ownTrailers(error.metadata) };
}

/** How loaded a server is. */
const ofServer = [loadHeader, orcaBinaryHeader];

/**
 * The trailers of a status without what a callee said there of itself: a server that passes on that one of its own callees
 * sheds does not shed, and is not as loaded. Errors of other libraries have a `metadata` of their own kind, which cannot be
 * sent.
 */
export function ownTrailers(metadata: Metadata | null | undefined): Metadata | null {
  if (typeof metadata?.clone !== 'function') return null;
  const sheds = metadata.get(shedHeader).length > 0;
  if (!sheds && !ofServer.some((name) => metadata.get(name).length > 0)) return metadata;
  const own = metadata.clone();
  for (const name of sheds ? [shedHeader, pushbackKey, ...ofServer] : ofServer) own.remove(name);
  return own;
}

/** Percent-encoding, which details go out in, throws for half a surrogate pair. */
export function wellFormed(details: unknown): string {
  return String(details).replace(/\p{Surrogate}/gu, '\uFFFD');
}
