import type { X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** Who sent a request, as far as it is known. */
export interface Caller {
  /** Where its connection comes from. */
  readonly address: string;
  /** Name of the token that it showed; empty: none. */
  readonly token: string;
  /** Subject of the certificate that it showed; empty: none, or none in it. */
  readonly certificate: string;
  /** That certificate; absent: none. */
  readonly shown?: (() => X509Certificate | undefined) | undefined;
}

const mapped = '::ffff:';

/** The other end of a connection. IPv4 is written as such, whichever kind of socket took it. */
export function addressOf({ remoteAddress = '' }: Socket): string {
  return remoteAddress.startsWith(mapped) ? remoteAddress.slice(mapped.length) : remoteAddress;
}

/**
 * The subject of a certificate, in words: `O=Example,CN=users`; empty when it has none, as where all its names are
 * alternative ones. A comma within a name is escaped, so that no two subjects read alike.
 */
export function subjectOf({ subject }: X509Certificate): string {
  // A line for each part; undefined, whatever its type says, when there is none.
  return ((subject as string | undefined) ?? '').replaceAll('\n', ',');
}

/** @param token - name of the token that the request bears */
export function callerOf({ socket }: IncomingMessage, token: string): Caller {
  const shown = () => (socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined);
  const certificate = shown();
  return { address: addressOf(socket), token, certificate: certificate ? subjectOf(certificate) : '', shown };
}

/** As a line of the log has it. What is not known is left out. */
export function callerFields(caller: Caller | undefined): Readonly<Record<string, string>> {
  if (caller === undefined) return {};
  const { address, token, certificate } = caller;
  return {
    caller: address,
    ...(token !== '' && { token }),
    ...(certificate !== '' && { certificate }),
  };
}
