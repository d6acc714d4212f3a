import type { RegistryReply, RegistryRequest, RegistryTransport } from '../discovery/transport.js';

/** How a node speaks to its peers. All nodes of a cluster speak alike. */
export interface PeerTransportInit {
  /** Makes what carries requests; again when the certificates changed. */
  readonly make: () => RegistryTransport;
  /** Whether peers speak TLS. */
  readonly secure: boolean;
  /** Token that is shown to them; absent: none. */
  readonly token: string | undefined;
  /** `host:port` of those that were given. Nobody else is shown the token: who registers as a node is not one by that. */
  readonly given: ReadonlySet<string>;
}

/** Carries requests to peers by the scheme they speak, with the token they want. */
export class PeerTransport implements RegistryTransport {
  private inner: RegistryTransport;

  constructor(private readonly init: PeerTransportInit) {
    this.inner = init.make();
  }

  send(request: RegistryRequest): Promise<RegistryReply> {
    const { secure, token, given } = this.init;
    const { url, headers } = request;
    const [, host = ''] = /^https?:\/\/([^/?#]+)/.exec(url) ?? [];
    return this.inner.send({
      ...request,
      url: secure ? url.replace(/^http:/, 'https:') : url,
      headers:
        token === undefined || !given.has(host) ? headers : { ...headers, authorization: `Bearer ${token}` },
    });
  }

  /** The certificates changed. What is under way fails, and is tried again by whoever sent it. */
  renew(): void {
    const before = this.inner;
    this.inner = this.init.make();
    before.close();
  }

  close(): void {
    this.inner.close();
  }
}
