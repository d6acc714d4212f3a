import type { Call } from './call.js';
import { isGovernanceError, type RejectionCode } from './errors.js';
import { callKey } from './values.js';

/**
 * Why a call did not end as it should, in the letters of Envoy's access log, which dashboards and people know already; `-`
 * where there is nothing to say.
 *
 * - `DC`: the caller went away before its answer
 * - `DF`: the name of a callee could not be resolved
 * - `DI`, `FI`: a delay, a fault was injected; see {@link noteResponseFlag}
 * - `DPE`: the request breaks its own rules
 * - `DT`: the server's time for the call ran out
 * - `LH`: this process is stopping, or not ready
 * - `OM`: this server has too much to do
 * - `RL`: a rate limit refused
 * - `SI`: a body stayed silent for too long
 * - `UAEX`: who calls is not known, or may not
 * - `UC`: a callee closed the connection
 * - `UF`: a callee could not be connected to
 * - `UH`: a callee has no endpoint, or none that may be picked
 * - `UO`: a breaker or a limit of this process kept a call from going out
 * - `UPE`: a callee's answer breaks the rules
 * - `URX`: a callee failed for as often as it may be tried
 * - `UT`: a callee did not answer in time
 *
 * Source: Envoy, "Access logging", `%RESPONSE_FLAGS%`; of those, what can happen here.
 */
export const responseFlags = [
  '-',
  'DC',
  'DF',
  'DI',
  'DPE',
  'DT',
  'FI',
  'LH',
  'OM',
  'RL',
  'SI',
  'UAEX',
  'UC',
  'UF',
  'UH',
  'UO',
  'UPE',
  'URX',
  'UT',
] as const;

/** One of {@link responseFlags}. */
export type ResponseFlag = (typeof responseFlags)[number];

type Side = 'client' | 'server';

/** What a refusal means, on the side that refused. */
const ofRefusals: {
  readonly [Code in RejectionCode]: ResponseFlag | { readonly [S in Side]: ResponseFlag };
} = {
  NO_ENDPOINT: 'UH',
  BREAKER_OPEN: 'UO',
  OVERLOADED: { client: 'UO', server: 'OM' },
  RATE_LIMITED: 'RL',
  DEADLINE_EXCEEDED: { client: 'UT', server: 'DT' },
  CANCELLED: 'DC',
  BODY_IDLE: 'SI',
  BAD_ENDPOINT: 'UF',
  SHUTTING_DOWN: 'LH',
  INVALID_ARGUMENT: 'DPE',
  INVALID_RESPONSE: 'UPE',
  UNAUTHENTICATED: 'UAEX',
  PERMISSION_DENIED: 'UAEX',
  AUTH_UNAVAILABLE: 'UAEX',
};

/** What the platform and undici say of a connection. */
const ofCodes: ReadonlyMap<unknown, ResponseFlag> = new Map<string, ResponseFlag>([
  ['EAI_AGAIN', 'DF'],
  ['ENOTFOUND', 'DF'],
  ['EADDRNOTAVAIL', 'UF'],
  ['ECONNREFUSED', 'UF'],
  ['EHOSTUNREACH', 'UF'],
  ['ENETUNREACH', 'UF'],
  ['ETIMEDOUT', 'UF'],
  ['UND_ERR_CONNECT_TIMEOUT', 'UF'],
  ['ECONNRESET', 'UC'],
  ['EPIPE', 'UC'],
  ['ERR_HTTP2_STREAM_ERROR', 'UC'],
  ['UND_ERR_SOCKET', 'UC'],
  ['UND_ERR_BODY_TIMEOUT', 'SI'],
  ['UND_ERR_HEADERS_TIMEOUT', 'UT'],
]);

/**
 * The flag of a refusal.
 *
 * @param code - one of {@link rejections}; of another copy of the package there may be some that are not known here
 * @param side - which side refused
 */
export function flagOfRefusal(code: string, side: Side = 'server'): ResponseFlag {
  const flag = Object.hasOwn(ofRefusals, code) ? ofRefusals[code as RejectionCode] : '-';
  return typeof flag === 'string' ? flag : flag[side];
}

interface Coded {
  readonly code?: unknown;
  readonly cause?: unknown;
}

function ofSystem(error: unknown): ResponseFlag | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  return ofCodes.get((error as Coded).code);
}

/**
 * The flag of something that was thrown; `-` for what is no matter of calls, a handler that threw. What the system said
 * may lie directly behind the error, where `fetch` hides it.
 *
 * @param call - tells which side a refusal is of that does not say so itself
 */
export function responseFlagOf(error: unknown, { side }: Pick<Call, 'side'>): ResponseFlag {
  if (isGovernanceError(error)) return flagOfRefusal(error.code, error.side ?? side);
  return ofSystem(error) ?? ofSystem((error as Coded | null | undefined)?.cause) ?? '-';
}

const noted = callKey<readonly ResponseFlag[]>('keelson.responseFlags');

const none: readonly ResponseFlag[] = [];

/**
 * Notes on a call what nobody could tell from its end: that a fault or a delay was injected.
 *
 * @param call - a server's, for its access log
 */
export function noteResponseFlag(call: Call, flag: ResponseFlag): void {
  const before = notedResponseFlags(call);
  if (flag !== '-' && !before.includes(flag)) call.values.set(noted, [...before, flag]);
}

/** What was noted on a call, in order. */
export function notedResponseFlags(call: Call): readonly ResponseFlag[] {
  return call.values.get(noted) ?? none;
}
