import net from 'node:net';

/** A way to a port on this machine that can be cut and mended. */
export interface TcpProxy {
  readonly port: number;
  /** `refuse`: connections are reset. `swallow`: they stay open, and nothing comes through. */
  cut(how: 'refuse' | 'swallow'): void;
  mend(): void;
  close(): Promise<void>;
}

/** @param to - asked at each connection, so that the other end may come later */
export async function tcpProxy(to: () => number): Promise<TcpProxy> {
  let state: 'open' | 'refuse' | 'swallow' = 'open';
  const sockets = new Set<net.Socket>();
  const keep = (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  };
  const server = net.createServer((near) => {
    keep(near);
    if (state === 'refuse') return void near.resetAndDestroy();
    if (state === 'swallow') return void near.resume();
    const far = net.connect(to(), '127.0.0.1');
    keep(far);
    near.pipe(far);
    far.pipe(near);
    near.once('close', () => far.destroy());
    far.once('close', () => near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    cut(how) {
      state = how;
      for (const socket of sockets)
        if (how === 'refuse') socket.destroy();
        else socket.unpipe();
    },
    mend() {
      state = 'open';
      // What was swallowed is lost, as after any cut.
      for (const socket of sockets) socket.destroy();
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
