import { RegistryRefusal } from './refusal.js';

/** What a registry answered. */
export interface HttpReply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
  /** Who answered; base URL. */
  readonly node: string;
}

/** Refusals by their class, and yet worth another try. */
const passing: readonly number[] = [408, 425, 429];

/** Whether the node is in trouble rather than of another mind: the next one may do better. */
export function isTrouble(status: number): boolean {
  return status >= 500 || passing.includes(status);
}

/** What an answer that is no success means for a registration. */
export function httpFailure({ status, text, node }: HttpReply): Error {
  const said = text.replace(/\s+/g, ' ').trim().slice(0, 200);
  const reason = `${node}: HTTP status ${status}${said === '' ? '' : `: ${said}`}`;
  // A redirect, too, is somebody else than the registry that was asked for.
  return isTrouble(status) ? new Error(reason) : new RegistryRefusal(reason, status);
}
