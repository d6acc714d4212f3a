import { createSocket } from 'node:dgram';
import { isIP } from 'node:net';

function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}

/**
 * Which address of this host leads to a node. A UDP socket that is connected sends nothing, it only asks the routing
 * table; so this works while the node is down.
 *
 * @param node - base URL
 * @returns an IP address without brackets, or `undefined` when there is no way to the node
 */
export function localAddressTowards(node: string): Promise<string | undefined> {
  const { hostname, port, protocol } = new URL(node);
  const host = hostname.replace(/^\[|\]$/g, '');
  const at = Number(port) || (protocol === 'https:' ? 443 : 80);
  return new Promise((resolve) => {
    const socket = createSocket(isIP(host) === 6 ? 'udp6' : 'udp4');
    socket.unref();
    const end = (address: string | undefined): void => {
      socket.close();
      resolve(address === undefined || isWildcard(address) ? undefined : plain(address));
    };
    socket.once('error', () => end(undefined));
    socket.connect(at, host, () => end(socket.address().address));
  });
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}

/** The same in the form in which sockets tell it. */
export function readableAddress(address: string | undefined): string | undefined {
  return address === undefined ? undefined : plain(address);
}
