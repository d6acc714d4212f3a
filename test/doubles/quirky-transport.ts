import type { RegistryReply, RegistryRequest, RegistryTransport } from 'keelson/discovery';
import type { QuirkyRegistry } from './quirky-registry.js';

/** Reaches doubles by their base URL without a network. Who is not in the map refuses connections. */
export class QuirkyTransport implements RegistryTransport {
  readonly sent: RegistryRequest[] = [];
  readonly down = new Set<string>();
  closed = false;

  constructor(readonly nodes: ReadonlyMap<string, QuirkyRegistry>) {}

  async send(request: RegistryRequest): Promise<RegistryReply> {
    this.sent.push(request);
    const url = new URL(request.url);
    const node = this.nodes.get(url.origin);
    if (!node || this.down.has(url.origin)) throw new Error(`connect ECONNREFUSED ${url.host}`);
    const params = request.method === 'POST' ? new URLSearchParams(request.body) : url.searchParams;
    const cut = new Promise<never>((_, reject) => {
      const look = (): void => {
        if (this.down.has(url.origin)) reject(new Error('socket hang up'));
      };
      this.cuts.add(look);
      request.signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    });
    return Promise.race([
      node.handle(request.method, url.pathname, params, Number(request.headers?.['x1-bmspy-timeout'])),
      cut,
    ]);
  }

  private readonly cuts = new Set<() => void>();

  /** A node goes away, and every connection to it. */
  kill(origin: string): void {
    this.down.add(origin);
    for (const look of this.cuts) look();
  }
  revive(origin: string): void {
    this.down.delete(origin);
  }
  close(): void {
    this.closed = true;
  }
}
