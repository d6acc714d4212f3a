import net, { type Socket } from 'node:net';
import { freePort } from '../../doubles/free-port.js';

/** A TCP relay before one server: counts connections, and can die as a process does, whatever the wire above it. */
export interface Relay {
  readonly port: number;
  /** Connections that were ever made. */
  readonly made: number;
  /** Those that are open. */
  readonly open: number;
  /** Closes connections that were never used: clients keep some in reserve, which no server takes for idle. */
  closeUnused(): void;
  /** Resets all connections, and refuses new ones. */
  kill(): void;
  /** Listens again at the same address. */
  revive(): Promise<void>;
}

function join(near: Socket, far: Socket): void {
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.resetAndDestroy());
    from.on('close', () => to.destroy());
  }
}

export async function relayTo(target: number): Promise<Relay> {
  const sockets = new Set<Socket>();
  let made = 0;
  const server = net.createServer({ noDelay: true }, (near) => {
    made++;
    sockets.add(near);
    near.on('close', () => sockets.delete(near));
    join(near, net.connect({ port: target, host: '127.0.0.1', noDelay: true }));
  });
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
  const port = await freePort();
  await listen(port);
  return {
    port,
    get made() {
      return made;
    },
    get open() {
      return sockets.size;
    },
    closeUnused() {
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
    },
    kill() {
      if (server.listening) server.close();
      for (const socket of sockets) socket.resetAndDestroy();
    },
    revive: () => listen(port),
  };
}
