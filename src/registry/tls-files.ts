import { readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { reasonOf } from '../discovery/discovery-event.js';

/** Files of a registry that speaks TLS. They are read again when they change. */
export interface RegistryTlsOptions {
  /** Path of its certificate, with its chain; PEM. */
  readonly cert: string;
  /** Path of the certificate's private key; PEM. */
  readonly key: string;
  /**
   * Path of certificates of authorities; PEM. With it everybody, peers included, needs a certificate from one of them,
   * and peers are trusted by it. Without a token only who has the subject of this node's own certificate, or one that is
   * good for the host of a peer that was given, may speak as a node of the cluster.
   */
  readonly ca?: string | undefined;
}

/** What is in them. */
export interface TlsSettings {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer | undefined;
}

const fields: readonly string[] = ['cert', 'key', 'ca'];

function pathsOf(options: RegistryTlsOptions): readonly string[] {
  if (typeof options !== 'object' || options === null)
    throw new TypeError('createRegistry.tls must be an object');
  for (const [field, path] of Object.entries(options) as [string, unknown][]) {
    if (!fields.includes(field))
      throw new TypeError(`createRegistry.tls.${field} is not an option; there are ${fields.join(', ')}`);
    if (path !== undefined && (typeof path !== 'string' || path === ''))
      throw new TypeError(`createRegistry.tls.${field} must be the path of a file`);
  }
  const { cert, key, ca } = options;
  if (cert === undefined || key === undefined)
    throw new TypeError('createRegistry.tls needs cert and key, the paths of two files');
  return ca === undefined ? [cert, key] : [cert, key, ca];
}

/** Certificate, key and authorities, as they are on disk. */
export class TlsFiles {
  settings: TlsSettings;
  private readonly paths: readonly string[];
  private stamp: string;

  /** @throws TypeError for wrong options, Error that says which file cannot be used */
  constructor(private readonly options: RegistryTlsOptions) {
    this.paths = pathsOf(options);
    this.settings = this.read();
    this.stamp = this.stampNow();
  }

  /**
   * Reads them again, if they changed.
   *
   * @returns whether there is something new
   * @throws Error when what is there now cannot be used, once per change; what was read before stays
   */
  refresh(): boolean {
    const stamp = this.stampNow();
    if (stamp === this.stamp) return false;
    this.stamp = stamp;
    this.settings = this.read();
    return true;
  }

  /** Who replaces files does it one after the other: what does not fit together yet is looked at again when the next one changed. */
  private read(): TlsSettings {
    const { ca } = this.options;
    try {
      const [cert, key, authorities] = this.paths.map((path) => readFileSync(path)) as [
        Buffer,
        Buffer,
        Buffer,
      ];
      const settings = { cert, key, ...(ca !== undefined && { ca: authorities }) };
      createSecureContext(settings);
      return settings;
    } catch (error) {
      throw new TypeError(`createRegistry.tls cannot be used: ${reasonOf(error)}`, { cause: error });
    }
  }

  private stampNow(): string {
    const stamps = this.paths.map((path) => {
      const found = statSync(path, { throwIfNoEntry: false });
      return found === undefined ? 'none' : `${found.mtimeMs} ${found.ino} ${found.size}`;
    });
    return stamps.join('\n');
  }
}
