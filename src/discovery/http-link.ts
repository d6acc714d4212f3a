import http from 'node:http';
import https from 'node:https';
import type { Clock } from '../core/clock.js';

/** What an {@link HttpLink} needs. */
export interface HttpLinkInit {
  readonly clock: Clock;
  /** How long a connection may take to be made; milliseconds. */
  readonly connectTimeoutMs: number;
  /** Of TLS connections, in the platform's words. */
  readonly tls?: object | undefined;
}

/** One request to a registry. */
export interface HttpRequest {
  readonly method: string;
  /** Absolute. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
  /** Ends it, and the reading of its answer. */
  readonly signal: AbortSignal;
  /** Whether the process has to stay for the answer. */
  readonly holdsProcess: boolean;
}

/** After so long a silence the kernel asks whether the other side is still there; a watch is silent most of the time. */
const keepAliveMs = 10_000;

/**
 * A kept connection that the server closed at the moment we wrote to it: nothing was read, and all our requests may
 * be repeated.
 */
function wasStale(request: http.ClientRequest, error: NodeJS.ErrnoException): boolean {
  return request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}

/**
 * Plain HTTP/1.1 on kept connections. `fetch` would do but for one thing: its sockets hold the process, and a long
 * poll or a watch is under way at nearly all times.
 */
export class HttpLink {
  private readonly plain: http.Agent;
  private readonly secure: https.Agent;

  constructor(private readonly init: HttpLinkInit) {
    const kept = { keepAlive: true, keepAliveMsecs: keepAliveMs, maxFreeSockets: 4 };
    this.plain = new http.Agent(kept);
    this.secure = new https.Agent({ ...kept, ...init.tls });
  }

  /** Sends a request. Resolves when its answer begins; the body is still to be read, or to be destroyed. */
  open(wanted: HttpRequest): Promise<http.IncomingMessage> {
    return new Promise((resolve, reject) => this.attempt(wanted, resolve, reject));
  }

  close(): void {
    this.plain.destroy();
    this.secure.destroy();
  }

  private attempt(
    wanted: HttpRequest,
    resolve: (response: http.IncomingMessage) => void,
    reject: (error: unknown) => void,
  ): void {
    const { method, url, body, headers, signal } = wanted;
    const secure = url.startsWith('https:');
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const request = (secure ? https : http).request(url, {
      method,
      agent: secure ? this.secure : this.plain,
      signal,
      headers: { accept: 'application/json', ...length, ...headers },
    });
    request.once('socket', (socket) => {
      // The agent has just taken hold of it, whether it is new or kept.
      if (!wanted.holdsProcess) socket.unref();
      if (!socket.connecting) return;
      const { connectTimeoutMs } = this.init;
      const late = (): void => void request.destroy(new Error(`no connection within ${connectTimeoutMs} ms`));
      const timer = this.init.clock.after(connectTimeoutMs, late);
      socket.once('connect', () => timer.cancel());
      socket.once('close', () => timer.cancel());
    });
    let answered = false;
    request.once('response', (response) => {
      answered = true;
      // Whoever reads it listens for himself; without anybody the platform would throw.
      response.on('error', () => undefined);
      resolve(response);
    });
    request.on('error', (error) => {
      // Once an answer has begun, whoever asked is told by its body; a repetition would be nobody's.
      if (!answered && wasStale(request, error) && !signal.aborted) this.attempt(wanted, resolve, reject);
      else reject(error);
    });
    request.end(body);
  }
}
