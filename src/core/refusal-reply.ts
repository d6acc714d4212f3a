/** Names the code of a refusal, so that a keelson client can tell a shed call from a failed one. */
export const shedHeader = 'x-keelson-shed';

/** Exact time to stay away, in milliseconds, beside `Retry-After`, which has whole seconds only. */
export const retryAfterMsHeader = 'retry-after-ms';

/** Refusals that say "not now", in contrast to "I failed". */
export const shedCodes: ReadonlySet<string> = new Set([
  'OVERLOADED',
  'RATE_LIMITED',
  'SHUTTING_DOWN',
  'BREAKER_OPEN',
]);

/** Whether the value of {@link shedHeader} tells of a server that has too much to do, whoever calls: no quota of one caller. */
export const tellsOverload = (shed: unknown): boolean => shed === 'OVERLOADED';

/** What of a refusal is told to whoever sent the call; a `GovernanceError` is one. */
interface Told {
  readonly code: string;
  readonly side: 'client' | 'server' | undefined;
  readonly retryAfterMs: number | undefined;
  readonly answer?:
    | {
        readonly text?: string | undefined;
        readonly headers?: Readonly<Record<string, string>> | undefined;
      }
    | undefined;
}

/** The headers of a response that tells of a refusal. What a callee of this server said is not passed on. */
export function refusalHeaders({ code, side, retryAfterMs, answer }: Told): Record<string, string> {
  const headers: Record<string, string> = {};
  if (side !== 'server') return headers;
  if (answer?.headers !== undefined) Object.assign(headers, answer.headers);
  if (shedCodes.has(code)) headers[shedHeader] = code;
  else if (retryAfterMs === undefined) return headers;
  if (retryAfterMs !== undefined) headers[retryAfterMsHeader] = String(Math.ceil(retryAfterMs));
  // Whole seconds, and never 0, which would invite the caller to come back at once.
  headers['retry-after'] = String(Math.max(1, Math.ceil((retryAfterMs ?? 0) / 1000)));
  return headers;
}

/** The body of such a response: the code, and what the refusal has for whoever sent the call. */
export function refusalText({ code, side, answer }: Told): string {
  const text = side === 'server' ? answer?.text : undefined;
  return text === undefined ? `${code}\n` : `${code}\n${text}\n`;
}
