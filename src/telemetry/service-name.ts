import type { Call } from '../core/call.js';
import { trustedPeer } from '../core/trust.js';

/**
 * Header that names the service that calls. With it a callee knows each edge of the call graph by itself, where without
 * it the spans of both sides have to be joined first.
 *
 * Source: go-kratos/kratos, `contrib/otel/tracing`.
 */
export const serviceNameHeader = 'x-md-service-name';

const plausible = /^[\w.:/@-]{1,128}$/;

/** Whether something can be told as the name of a service: of few characters, all of which may stand in a header. */
export function isServiceName(name: string): boolean {
  return plausible.test(name);
}

/**
 * Names that were found good. The same few come with every call, each time in a string of its own: one comparison with the
 * name that has its place costs a fraction of the hash that a Map would make of it. Who shares a place is only read again.
 */
const places = 64;
const seen = new Array<string>(places).fill('');

/** A name as it came first, so that whoever looks it up elsewhere finds it by identity; `undefined` if it is none. */
export function knownServiceName(name: string): string | undefined {
  const { length } = name;
  const at = (length + 7 * name.charCodeAt(0) + 31 * name.charCodeAt(length - 1)) & (places - 1);
  const before = seen[at] as string;
  if (before === name && length > 0) return before;
  if (!isServiceName(name)) return undefined;
  seen[at] = name;
  return name;
}

/**
 * The logical name of the service that sent an inbound call, if it said so and its peer is trusted.
 *
 * @param call - a server's call
 */
export function callerOf(call: Call): string | undefined {
  if (call.side !== 'server' || !call.values.get(trustedPeer)) return undefined;
  const name = call.headers.get(serviceNameHeader);
  return name === undefined ? undefined : knownServiceName(name);
}

/** Most names of callers that are told apart in metrics; each is a series of its own, and names come from outside. */
const mostCallers = 100;

/** Of the process, as the series are: all of its servers mean the same names. */
const told = new Set<string>();

/**
 * What a caller is called in metrics: the first hundred by their names, further ones `other`.
 *
 * @param caller - `undefined` for one that did not say who it is or is not believed: `unknown`
 */
export function peerNameOf(caller: string | undefined): string {
  if (caller === undefined) return 'unknown';
  if (told.has(caller)) return caller;
  if (told.size >= mostCallers) return 'other';
  told.add(caller);
  return caller;
}

/**
 * Names callers for metrics: the first 100 names of the process as they are, `other` for further ones, `unknown` for who does
 * not say or is not believed.
 */
export function callerNames(): (call: Call) => string {
  return (call) => peerNameOf(callerOf(call));
}
