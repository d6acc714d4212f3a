import type { Server as SecureServer } from 'node:https';
import type { Timer } from '../core/clock.js';
import { reasonOf } from '../discovery/discovery-event.js';
import { httpTransport } from '../discovery/http-transport.js';
import { Access } from './access.js';
import { ClusterIdentity } from './cluster-identity.js';
import { resolveLimits } from './limits.js';
import { type Member, parsePeers } from './membership.js';
import { PeerTransport } from './peer-transport.js';
import type { Tell } from './registry-event.js';
import type { ResolvedRegistryOptions } from './registry-options.js';
import { TlsFiles } from './tls-files.js';
import { Tokens } from './tokens.js';

/** How long a connection to a peer may take to be made. */
const connectTimeoutMs = 2_000;
/** Between two looks at the files of certificates. */
const lookMs = 10_000;

/** What a registry shows, and wants to be shown. */
export class Security {
  readonly access: Access;
  readonly tls: TlsFiles | undefined;
  /** To peers. */
  readonly transport: PeerTransport;
  private timer: Timer | undefined;

  constructor(
    private readonly options: ResolvedRegistryOptions,
    private readonly tell: Tell,
  ) {
    const { token, nodeTokens, tls, openReads, limits, clock, peers, zone } = options;
    const given: readonly Member[] = parsePeers(peers ?? [], zone);
    if (token === undefined && nodeTokens !== undefined)
      throw new RangeError('createRegistry.nodeTokens names tokens, but there is no token');
    const tokens = token === undefined ? undefined : new Tokens(token, nodeTokens);
    const { requestsPerSecond } = resolveLimits(limits);
    this.tls = tls === undefined ? undefined : new TlsFiles(tls);
    const identity = new ClusterIdentity({ tokenNames: tokens?.nodeNames, tls: this.tls, given });
    this.access = new Access({ tokens, openReads, requestsPerSecond, clock, identity });
    this.transport = new PeerTransport({
      make: () => options.transport ?? httpTransport({ clock, connectTimeoutMs, tls: this.tls?.settings }),
      secure: this.tls !== undefined,
      token: tokens?.own,
      given: new Set(given.map(({ address }) => address)),
    });
  }

  get scheme(): 'http' | 'https' {
    return this.tls === undefined ? 'http' : 'https';
  }

  /** Keeps a server's certificate as it is on disk. Connections that are open keep theirs. */
  follow(server: Pick<SecureServer, 'setSecureContext'>): void {
    const { tls, tell } = this;
    if (tls === undefined) return;
    this.timer = this.options.clock.after(lookMs, () => {
      try {
        if (tls.refresh()) {
          server.setSecureContext(tls.settings);
          if (this.options.transport === undefined) this.transport.renew();
          tell('tls', { renewed: true });
        }
      } catch (error) {
        tell('tls', { renewed: false, error: reasonOf(error) });
      }
      this.follow(server);
    });
  }

  close(): void {
    this.timer?.cancel();
  }
}
