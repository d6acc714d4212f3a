import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { type Caller, subjectOf } from './caller.js';
import type { Member } from './membership.js';
import type { TlsFiles } from './tls-files.js';

/** By what nodes know each other. */
export interface ClusterIdentityInit {
  /** Names of the tokens by which nodes know each other; absent: none is wanted. */
  readonly tokenNames: ReadonlySet<string> | undefined;
  readonly tls: TlsFiles | undefined;
  /** The peers that were given. */
  readonly given: readonly Member[];
}

/**
 * Tells nodes of the cluster from clients, who may write as well but not say who is a node: clients connect to whoever
 * is, and nodes send it what they know.
 *
 * With tokens a node is who shows one of those that are for nodes. With certificates alone it is who has the subject of
 * this node's own one, or one that is good for the host of a peer that was given. Without both nobody can be told apart.
 */
export class ClusterIdentity {
  private own: { readonly pem: Buffer; readonly subject: string } | undefined;

  constructor(private readonly init: ClusterIdentityInit) {}

  includes(caller: Caller): boolean {
    const { tokenNames, tls } = this.init;
    if (tokenNames !== undefined) return tokenNames.has(caller.token);
    const { cert, ca } = tls?.settings ?? {};
    if (cert === undefined || ca === undefined) return true;
    // Certificates whose names are all alternative ones have no subject, and that is none to be alike.
    return (caller.certificate !== '' && caller.certificate === this.subject(cert)) || this.isGiven(caller);
  }

  /** Of the own certificate, which may be replaced. */
  private subject(pem: Buffer): string {
    if (this.own?.pem !== pem) this.own = { pem, subject: subjectOf(new X509Certificate(pem)) };
    return this.own.subject;
  }

  private isGiven({ shown }: Caller): boolean {
    const certificate = shown?.();
    if (certificate === undefined) return false;
    return this.init.given.some(({ address }) => {
      const host = address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');
      return (isIP(host) > 0 ? certificate.checkIP(host) : certificate.checkHost(host)) !== undefined;
    });
  }
}
