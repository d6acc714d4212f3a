import { type ReadContext, readRecord } from './entries.js';
import type { InstanceId } from './instance-id.js';
import type { InstanceRegistration } from './instance-record.js';
import type { InstanceStore } from './instance-store.js';
import type { Pending } from './peer-queue.js';
import {
  type Addressee,
  askPeer,
  cancelForm,
  type PeerAnswer,
  type PeerWire,
  registerForm,
  renewForm,
} from './peer-wire.js';
import { codes } from './refused.js';

/** What telling a peer of the original needs. */
export interface OriginalPeer extends Addressee {
  readonly wire: PeerWire;
  readonly address: string;
  readonly store: InstanceStore;
  /** For what it answers. */
  readonly context: () => ReadContext;
  /** Told of an instance of which it knows more. */
  readonly onNewer: (registration: InstanceRegistration) => void;
}

async function post(peer: OriginalPeer, path: string, form: URLSearchParams): Promise<PeerAnswer> {
  const answer = await askPeer(peer.wire, peer.address, { method: 'POST', path, form });
  if (answer === 'unknown path') throw new Error(`${path} is unknown there`);
  return answer;
}

/** @returns its code */
async function renew(peer: OriginalPeer, id: InstanceId, dirtyNs: bigint): Promise<number> {
  const { code, data } = await post(peer, '/discovery/renew', renewForm(id, dirtyNs, peer));
  if (code === codes.conflict && data !== undefined && data !== null) {
    let record: InstanceRegistration | undefined;
    try {
      record = readRecord(data, peer.context());
    } catch {
      // Garbage from a peer is not worth more than a renewal that failed.
    }
    if (record !== undefined) peer.onNewer(record);
  }
  return code;
}

async function register(peer: OriginalPeer, id: InstanceId): Promise<void> {
  const record = peer.store.find(id);
  if (record !== undefined) await post(peer, '/discovery/register', registerForm(record, peer));
}

async function cancel(peer: OriginalPeer, { id, late }: Pending): Promise<void> {
  const cancelled = peer.store.findCancelled(id);
  if (cancelled === undefined) return;
  // It knows no versions of cancellations. Who registered there while we could not reach it must not be taken out.
  if (late && (await renew(peer, id, cancelled.dirtyNs)) === codes.conflict) return;
  await post(peer, '/discovery/cancel', cancelForm(cancelled, peer));
}

/**
 * Tells a peer of the original of one instance, request by request, as it tells us: a renewal that it answers with -404
 * is followed by everything, one that it answers with -409 brings what it knows better.
 *
 * Source: `registry/node.go` of bilibili/discovery. Differs: `addrs` are repeated, a delayed cancellation asks first.
 *
 * @throws Error when it did not answer
 */
export async function tellOriginal(peer: OriginalPeer, pending: Pending): Promise<void> {
  const { id, told } = pending;
  const record = peer.store.find(id);
  if (record === undefined) await cancel(peer, pending);
  else if (told === 'state') await register(peer, id);
  else if ((await renew(peer, id, record.dirtyNs)) === codes.notFound) await register(peer, id);
}
