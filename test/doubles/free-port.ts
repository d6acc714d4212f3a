import { once } from 'node:events';
import net from 'node:net';

/** Below what systems give to outgoing connections (Linux from 32 768, others from 49 152), above what is well known. */
const lowest = 16_000;
const count = 16_000;

/**
 * A port of the loopback for what must listen on a given one, later or again: nobody listens there, and no client of a test
 * beside this one is given it while nobody does.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowest + Math.floor(Math.random() * count);
    const probe = net.createServer().listen(port, '127.0.0.1');
    try {
      await once(probe, 'listening');
    } catch {
      continue;
    }
    probe.close();
    await once(probe, 'close');
    return port;
  }
}
