import { type GovernanceError, refusal } from '../core/errors.js';
import type { Issue, IssuePath } from './standard-schema.js';

/** What bounds the description of an invalid value; it goes to whoever sent the value. */
export interface DescriptionLimits {
  /** Most problems that are named. */
  readonly maxIssues: number;
  /** Most characters of one problem. */
  readonly maxLength: number;
}

/** Keys come from the value, that is from a peer: none may begin a new line or hide what follows. */
function plain(text: string, maxLength: number): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu, ' ');
}

/** `items[0].name`; as many parts as may fit, for a value may be nested without end. */
function shown(path: IssuePath | undefined, maxLength: number): string {
  let text = '';
  for (const part of path ?? []) {
    if (text.length > maxLength) break;
    const key = typeof part === 'object' ? part.key : part;
    if (typeof key === 'number') text += `[${key}]`;
    else text += `${text === '' ? '' : '.'}${String(key)}`;
  }
  return text;
}

/** What is wrong, one problem a line: `items[0].name: expected string`. */
export function describe(issues: readonly Issue[], { maxIssues, maxLength }: DescriptionLimits): string {
  const lines = issues.slice(0, maxIssues).map(({ path, message }) => {
    const where = shown(path, maxLength);
    return plain(where === '' ? String(message) : `${where}: ${message}`, maxLength);
  });
  const more = issues.length - lines.length;
  if (more > 0) lines.push(`${more} more`);
  return lines.join('\n');
}

/** Who found the value invalid, and in what. */
export interface Finding {
  /** Which end of the wire this process is. */
  readonly side: 'client' | 'server';
  /** What was looked at: the operation, where it is known. */
  readonly subject: string;
  /** Logical name of the service. */
  readonly service: string | undefined;
}

/** The refusal of an invalid request. Its `cause` are the issues, or what was thrown when the value was read. */
export function invalidArgument(text: string, cause: unknown, finding: Finding): GovernanceError {
  const { side, subject, service } = finding;
  const message = `${subject}: ${text.replaceAll('\n', '; ')}`;
  return refusal('INVALID_ARGUMENT', message, { cause, side, service, answer: { text } });
}
