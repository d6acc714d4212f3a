import { once } from 'node:events';
import net from 'node:net';

/** A client that says exactly what the test says, byte by byte. */
export interface RawClient {
  readonly socket: net.Socket;
  /** All that has come so far. */
  readonly received: string;
  /** Resolves when the text has come; rejects when the connection closes before. */
  until(text: string): Promise<string>;
  /** Resolves when the server has closed the connection. */
  closed(): Promise<string>;
}

/** Connects to a server on the loopback. */
export async function rawClient(port: number): Promise<RawClient> {
  const socket = net.connect(port, '127.0.0.1');
  let received = '';
  let gone = false;
  const wake = new Set<() => void>();
  const tell = () => {
    for (const run of [...wake]) run();
  };
  socket.setEncoding('latin1');
  socket.on('data', (text) => {
    received += text;
    tell();
  });
  // A reset is one of the ways in which a server closes.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    gone = true;
    tell();
  });
  await once(socket, 'connect');
  const when = (ready: () => boolean): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = () => {
        if (ready()) resolve(received);
        else if (gone) reject(new Error(`closed after ${JSON.stringify(received)}`));
        else return;
        wake.delete(look);
      };
      wake.add(look);
      look();
    });
  return {
    socket,
    get received() {
      return received;
    },
    until: (text) => when(() => received.includes(text)),
    closed: () => when(() => gone),
  };
}

/** A request without a body. */
export function rawGet(path: string, headers: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\nhost: test\r\n${lines.join('')}\r\n`;
}
