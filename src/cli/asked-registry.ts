import { readFileSync } from 'node:fs';
import { systemClock } from '../core/clock.js';
import { type Reply, readReply } from '../discovery/discovery-wire.js';
import { httpTransport } from '../discovery/http-transport.js';
import { tlsSettings } from '../discovery/tls-options.js';
import { checkToken, withToken } from '../discovery/token-transport.js';
import type { RegistryTransport } from '../discovery/transport.js';
import { within } from '../discovery/within.js';
import { type Terminal, UsageError } from './command.js';
import { firstToken, readTokenFile } from './token-file.js';

/** Flags of every command that asks a registry. */
export const askFlags = {
  url: { type: 'string' },
  'token-file': { type: 'string' },
  'tls-ca': { type: 'string' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** What the help of each of them says of these. */
export const askHelp = `  --url <url>            the registry ($KEELSON_REGISTRY_URL, else http://127.0.0.1:7171)
  --token-file <file>    what it wants to be shown ($KEELSON_REGISTRY_TOKEN)
  --tls-ca <file>        authorities to trust instead of the platform's
  --tls-cert <file>      certificate of this client, with --tls-key <file>
  --json                 JSON instead of a table
  -h, --help             this text

Exit code: 0 done, 1 the registry refused or did not answer, 2 the command line is wrong.`;

/** Their values. */
export interface AskFlags {
  readonly url?: string | undefined;
  readonly 'token-file'?: string | undefined;
  readonly 'tls-ca'?: string | undefined;
  readonly 'tls-cert'?: string | undefined;
  readonly 'tls-key'?: string | undefined;
}

/** The registry did not do what was asked. Told in one line, exit code 1. */
export class AskError extends Error {
  override readonly name = 'AskError';
}

const usualTimeoutMs = 10_000;
const connectTimeoutMs = 3_000;
const maxReplyBytes = 256 * 1024 * 1024;

function fileOf(flags: AskFlags, name: 'tls-ca' | 'tls-cert' | 'tls-key'): string | undefined {
  const path = flags[name];
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`--${name} ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

function urlOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.search || url.hash || url.username)
    throw new UsageError(`--url takes a URL such as http://127.0.0.1:7171, got ${JSON.stringify(text)}`);
  return url.href.replace(/\/+$/, '');
}

/** Any server of the protocol. */
export class AskedRegistry {
  readonly url: string;
  private readonly transport: RegistryTransport;

  /** @throws UsageError for flags that cannot be used */
  constructor(flags: AskFlags, { env }: Pick<Terminal, 'env'>) {
    this.url = urlOf(flags.url ?? (env['KEELSON_REGISTRY_URL'] || 'http://127.0.0.1:7171'));
    const file = flags['token-file'];
    const token =
      file === undefined ? env['KEELSON_REGISTRY_TOKEN'] || undefined : firstToken(readTokenFile(file));
    const [ca, cert, key] = [fileOf(flags, 'tls-ca'), fileOf(flags, 'tls-cert'), fileOf(flags, 'tls-key')];
    try {
      checkToken('token', token);
      const tls = tlsSettings('tls', { ca, cert, key });
      this.transport = withToken(httpTransport({ clock: systemClock, connectTimeoutMs, tls }), token);
    } catch (error) {
      throw new UsageError((error as Error).message, { cause: error });
    }
  }

  /**
   * Asks.
   *
   * @param options - headers; how long the answer may take; what ends it earlier
   * @returns what it answered, whatever the code
   * @throws AskError when it gave no answer of the protocol
   */
  async ask(
    method: 'GET' | 'POST',
    path: string,
    options: {
      readonly form?: URLSearchParams;
      readonly headers?: Readonly<Record<string, string>>;
      readonly timeoutMs?: number;
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<Reply> {
    const { form = new URLSearchParams(), headers, timeoutMs = usualTimeoutMs, signal } = options;
    const url = `${this.url}/discovery/${path}${method === 'GET' && form.size > 0 ? `?${form}` : ''}`;
    const body = method === 'POST' ? form.toString() : undefined;
    try {
      const reply = await within({ clock: systemClock, timeoutMs, signal, holdsProcess: true }, (ended) =>
        this.transport.send({ method, url, body, headers, maxReplyBytes, signal: ended, holdsProcess: true }),
      );
      return read(reply.status, reply.body);
    } catch (error) {
      throw new AskError(`${this.url}: ${(error as Error).message}`, { cause: error });
    }
  }

  /** Asks for what has to succeed. @throws AskError when it did not */
  async need(method: 'GET' | 'POST', path: string, form?: URLSearchParams): Promise<Reply> {
    const reply = await this.ask(method, path, form && { form });
    if (reply.code !== 0) throw this.refusal(reply);
    return reply;
  }

  /** What a code that is not 0 becomes. */
  refusal({ code, message }: Reply): AskError {
    const words = message === '' || message === String(code) ? (meanings[code] ?? '') : message;
    return new AskError(`${this.url} answers ${code}${words === '' ? '' : `: ${words}`}`);
  }

  close(): void {
    this.transport.close();
  }
}

const meanings: Readonly<Record<number, string>> = {
  [-400]: 'it does not take these values',
  [-401]: 'it wants a token',
  [-404]: 'there is no such instance',
  [-500]: 'it is in trouble, or not ready yet',
};

function read(status: number, body: string): Reply {
  try {
    return readReply(body);
  } catch (error) {
    throw new Error(
      status === 200 ? 'that is no registry: it answers something else' : `HTTP status ${status}`,
      { cause: error },
    );
  }
}
