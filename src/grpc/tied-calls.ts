import { Metadata, type ServerInterceptingCallInterface, status } from '@grpc/grpc-js';
import type { Call } from '../core/call.js';
import type { Clock } from '../core/clock.js';
import { nextNotice, startNotice } from '../core/start-notice.js';
import { parseTied, type TiedState, tiedHeader } from '../core/tied-copy.js';
import { trustedPeer } from '../core/trust.js';
import { TiedTable } from '../http/tied-table.js';
import type { ServerStatus } from './exchange.js';
import { OwnHeaders, StartTeller } from './start-teller.js';

/** What is needed of a call on a server. */
interface Inbound {
  readonly wire: ServerInterceptingCallInterface;
  readonly method: { readonly path: string };
  readonly metadata: Metadata;
}

/** The tied copies that come to one gRPC server. They are taken back as gRPC cancels any call, by a reset of their stream. */
export class TiedCalls {
  private readonly table = new TiedTable();
  private readonly own = new OwnHeaders();

  constructor(private readonly clock: Clock) {}

  /**
   * Takes a call that may be marked as a copy; the word of peers that are not trusted counts for nothing.
   *
   * @returns who tells of its start, if somebody wants to know; or the status of a copy that must not run here
   */
  enter({ wire, method, metadata }: Inbound, call: Call): StartTeller | ServerStatus | undefined {
    const text = call.headers.get(tiedHeader);
    const mark = text !== undefined && call.values.get(trustedPeer) ? parseTied(text) : undefined;
    if (mark === undefined) return undefined;
    // It is this server's, and not for the callees of a handler that passes all metadata on.
    metadata.remove(tiedHeader);
    // Nothing leads back to a copy that would have to be let.
    if (mark.mode === 'claim') return turnedAway(method.path, 'expired');
    const copy = this.table.enter(mark, this.clock.now());
    if (typeof copy === 'string') return turnedAway(method.path, copy);
    const teller = new StartTeller(method.path, this.own, (headers) => wire.sendMetadata(headers));
    call.values.set(nextNotice, () => teller.start());
    call.values.set(startNotice, () => {
      if (copy.start()) teller.start();
    });
    return teller;
  }
}

function turnedAway(path: string, state: TiedState): ServerStatus {
  const metadata = new Metadata();
  metadata.set(tiedHeader, state);
  return { code: status.CANCELLED, details: `${path}: ${state}, for it is one of two copies`, metadata };
}
