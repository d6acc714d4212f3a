import http from 'node:http';
import https from 'node:https';
import type { Clock } from '../core/clock.js';
import type { RegistryReply, RegistryRequest, RegistryTransport } from './transport.js';

/** What {@link httpTransport} needs. */
export interface HttpTransportInit {
  readonly clock: Clock;
  /** How long a connection may take to be made; milliseconds. */
  readonly connectTimeoutMs: number;
}

/**
 * A kept connection that the server closed at the moment we wrote to it: nothing was read, and all our requests may
 * be repeated.
 */
function wasStale(request: http.ClientRequest, error: NodeJS.ErrnoException): boolean {
  return request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}

class HttpTransport implements RegistryTransport {
  private readonly plain = new http.Agent({ keepAlive: true, maxFreeSockets: 4 });
  private readonly secure = new https.Agent({ keepAlive: true, maxFreeSockets: 4 });

  constructor(private readonly init: HttpTransportInit) {}

  send(wanted: RegistryRequest): Promise<RegistryReply> {
    return new Promise((resolve, reject) => this.attempt(wanted, resolve, reject));
  }

  close(): void {
    this.plain.destroy();
    this.secure.destroy();
  }

  private attempt(
    wanted: RegistryRequest,
    resolve: (reply: RegistryReply) => void,
    reject: (error: unknown) => void,
  ): void {
    const { method, url, body, headers, signal } = wanted;
    const secure = url.startsWith('https:');
    const request = (secure ? https : http).request(url, {
      method,
      agent: secure ? this.secure : this.plain,
      signal,
      headers: {
        accept: 'application/json',
        ...(body === undefined
          ? {}
          : {
              'content-type': 'application/x-www-form-urlencoded',
              'content-length': String(Buffer.byteLength(body)),
            }),
        ...headers,
      },
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
      const { localAddress } = response.socket;
      readBody(response, wanted.maxReplyBytes).then(
        (text) => resolve({ status: response.statusCode ?? 0, body: text, localAddress }),
        reject,
      );
    });
    request.on('error', (error) => {
      // Once an answer has begun, whoever asked is told by its body; a repetition would be nobody's.
      if (!answered && wasStale(request, error) && !signal.aborted) this.attempt(wanted, resolve, reject);
      else reject(error);
    });
    request.end(body);
  }
}

function readBody(response: http.IncomingMessage, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBytes) chunks.push(chunk);
      else response.destroy(new Error(`reply of more than ${maxBytes} bytes`));
    });
    response.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    response.on('error', reject);
    response.once('close', () => reject(new Error('connection closed within the reply')));
  });
}

/**
 * Plain HTTP/1.1 on kept connections. `fetch` would do but for one thing: its sockets hold the process, and a long
 * poll is under way at nearly all times.
 */
export function httpTransport(init: HttpTransportInit): RegistryTransport {
  return new HttpTransport(init);
}
