import { readFile } from 'node:fs/promises';
import { reasonOf } from './discovery-event.js';
import { HttpNodes, type HttpNodesInit } from './http-nodes.js';

/** What a {@link KubernetesAccess} needs. */
export interface KubernetesAccessInit {
  /** Base URL of the API server. */
  readonly server: string;
  /** Folder with `token` and `ca.crt`; both are renewed there from time to time. Undefined for neither. */
  readonly credentialsPath: string | undefined;
  /** Instead of the folder's. */
  readonly token: string | (() => string | Promise<string>) | undefined;
  /** Of TLS connections, in the platform's words; instead of the folder's. */
  readonly tls: object;
  readonly http: Omit<HttpNodesInit, 'nodes' | 'tls'>;
}

/** The way to the API server. */
export interface KubernetesWay {
  readonly nodes: HttpNodes;
  readonly headers: Readonly<Record<string, string>>;
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/** Finds the way to the API server with the credentials of the moment. */
export class KubernetesAccess {
  private nodes: HttpNodes | undefined;
  private ca: string | undefined;

  constructor(private readonly init: KubernetesAccessInit) {}

  /**
   * Reads the credentials anew: a token is good for an hour, and replaced long before.
   *
   * @throws Error when they cannot be read
   */
  async way(): Promise<KubernetesWay> {
    const { credentialsPath, token } = this.init;
    const ca = credentialsPath === undefined ? undefined : await textOf(`${credentialsPath}/ca.crt`);
    if (this.nodes === undefined || ca !== this.ca) this.open(ca);
    const given = typeof token === 'function' ? await token() : token;
    const found =
      given ?? (credentialsPath === undefined ? undefined : await textOf(`${credentialsPath}/token`));
    const headers = found ? { authorization: `Bearer ${found}` } : {};
    return { nodes: this.nodes as HttpNodes, headers };
  }

  close(): void {
    this.nodes?.close();
  }

  private open(ca: string | undefined): void {
    const { server, tls, http } = this.init;
    // Watches under way over the old one end, and begin anew.
    this.nodes?.close();
    this.ca = ca;
    this.nodes = new HttpNodes({
      ...http,
      nodes: [server],
      tls: { ...(ca === undefined ? {} : { ca }), ...tls },
    });
  }
}
