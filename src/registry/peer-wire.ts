import type { Clock } from '../core/clock.js';
import { type Reply, readReply } from '../discovery/discovery-wire.js';
import { stringify } from '../discovery/lossless-json.js';
import type { RegistryReply, RegistryTransport } from '../discovery/transport.js';
import type { Cancelled } from './graves.js';
import type { InstanceId } from './instance-id.js';
import type { StoredInstance } from './instance-record.js';

/** Paths that only nodes of ours have. To the original they do not exist, by which it is known. */
export const peerPaths = {
  digest: '/discovery/peer/digest',
  entries: '/discovery/peer/entries',
  merge: '/discovery/peer/merge',
} as const;

/** A question to one peer. */
export interface PeerQuestion {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly form: URLSearchParams;
}

/** What it answered. */
export interface PeerAnswer extends Pick<Reply, 'code' | 'data'> {
  /** Its wall clock, where it tells; milliseconds since 1970. */
  readonly dateMs: number | undefined;
}

/** Below this a code is the peer's trouble, not an answer. */
const peerTrouble = -500;
/** Of what a peer says went wrong: it goes into a line of the log. */
const toldLength = 255;
/** All instances of a large registry. */
const maxReplyBytes = 128 * 1024 * 1024;

/** What {@link askPeer} works with. */
export interface PeerWire {
  readonly transport: RegistryTransport;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/** The question has more bytes than that peer reads. */
export class TooLarge extends Error {
  override readonly name = 'TooLarge';
}

function understand({ status, body, dateMs }: RegistryReply): PeerAnswer | 'unknown path' {
  if (status === 404) return 'unknown path';
  if (status === 413) throw new TooLarge('HTTP status 413');
  if (status !== 200) throw new Error(`HTTP status ${status}`);
  const { code, message, data } = readReply(body);
  if (code <= peerTrouble) throw new Error(`code ${code} ${message.slice(0, toldLength)}`.trim());
  return { code, data, dateMs };
}

/**
 * Asks a peer.
 *
 * @param address - `host:port`
 * @returns `unknown path` when it has no such path
 * @throws Error when it gives no answer, none in time, or none that can be read
 */
export async function askPeer(
  wire: PeerWire,
  address: string,
  { method, path, form }: PeerQuestion,
): Promise<PeerAnswer | 'unknown path'> {
  const control = new AbortController();
  const { signal } = control;
  const url = `http://${address}${path}${method === 'GET' && form.size > 0 ? `?${form}` : ''}`;
  const body = method === 'POST' ? form.toString() : undefined;
  let late = (_: Error): void => undefined;
  const timedOut = new Promise<never>((_, reject) => {
    late = reject;
  });
  const timer = wire.clock.after(wire.timeoutMs, () => {
    const error = new Error(`no answer within ${wire.timeoutMs} ms`);
    // First, for a transport that does not mind being aborted.
    late(error);
    control.abort(error);
  });
  try {
    const sent = wire.transport.send({ method, url, body, maxReplyBytes, signal, holdsProcess: false });
    return understand(await Promise.race([sent, timedOut]));
  } finally {
    timer.cancel();
  }
}

/** To whom a form goes: nodes of the own zone keep to themselves what they are told, one of another zone passes it on within its zone. */
export interface Addressee {
  readonly otherZone: boolean;
}

function identityForm({ env, appid, zone, hostname }: InstanceId, { otherZone }: Addressee): URLSearchParams {
  const replication = String(!otherZone);
  return new URLSearchParams({ zone, env, appid, hostname, from_zone: 'true', replication });
}

/** A registration for the original. Addresses are repeated: joined by commas, as it sends them itself, it does not part them. */
export function registerForm(record: StoredInstance, to: Addressee): URLSearchParams {
  const form = identityForm(record, to);
  const { region, version, status, addrs, metadata, dirty, latest } = record.describe();
  form.set('region', region);
  for (const addr of addrs) form.append('addrs', addr);
  form.set('version', version);
  form.set('status', String(status));
  form.set('metadata', stringify(Object.fromEntries(metadata)));
  form.set('dirty_timestamp', String(dirty));
  form.set('latest_timestamp', String(latest));
  return form;
}

/** A renewal for the original, with the version that the renewed instance has here. */
export function renewForm(id: InstanceId, dirtyNs: bigint, to: Addressee): URLSearchParams {
  const form = identityForm(id, to);
  form.set('dirty_timestamp', String(dirtyNs));
  return form;
}

/** A cancellation for the original. */
export function cancelForm(cancelled: Cancelled, to: Addressee): URLSearchParams {
  const form = identityForm(cancelled, to);
  form.set('latest_timestamp', String(cancelled.dirtyNs));
  form.set('dirty_timestamp', String(cancelled.dirtyNs));
  return form;
}
