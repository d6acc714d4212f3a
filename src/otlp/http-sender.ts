import http from 'node:http';
import https from 'node:https';
import type { Clock } from '../core/clock.js';
import { answerText } from './answer-text.js';
import type { EncodingName } from './encoding.js';
import { encodings } from './encodings.js';
import { type HeaderSource, headersOf } from './header-source.js';
import { retryAfterMs } from './retry-after.js';
import type { Answer, Consignment, Sender } from './sender.js';

/** What {@link httpSender} needs. */
export interface HttpSenderInit {
  /** The whole URL. */
  readonly url: string;
  readonly headers: HeaderSource;
  readonly gzip: boolean;
  /** Most connections. */
  readonly concurrency: number;
  /** Of TLS connections, in the platform's words. */
  readonly tls: object | undefined;
  readonly clock: Clock;
}

/** Status codes after which the same request is worth another try. */
const retryable: readonly number[] = [429, 502, 503, 504];
/** Longest answer that OTLP allows for. */
const mostBytes = 4_194_304;

/** How much is shown of an answer that is none. */
const mostShown = 100;

interface Received {
  readonly response: http.IncomingMessage;
  readonly body: Buffer;
}

/** A kept connection that the collector closed at the moment we wrote to it. */
function wasStale(request: http.ClientRequest, error: NodeJS.ErrnoException): boolean {
  return request.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}

/**
 * Has whoever waits for an answer not hold the process for as long as that may take. Of a name with several addresses each attempt
 * has a handle of its own.
 */
function holdsNobody(request: http.ClientRequest): void {
  request.once('socket', (socket) => {
    const unref = (): void => void socket.unref();
    unref();
    if (!socket.connecting) return;
    socket.on('connectionAttempt', unref);
    socket.once('connect', () => void socket.off('connectionAttempt', unref));
  });
}

/** Connecting and writing hold the process, whatever the socket was told; who has to wait for a socket connects next. */
function holdsProcess({ socket }: http.ClientRequest): boolean {
  return socket === null || socket.connecting || socket.writableLength > 0;
}

/** Reads a whole answer; `undefined` when it is too long. */
function read(response: http.IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    response.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= mostBytes) chunks.push(chunk);
      else {
        resolve(undefined);
        response.destroy();
      }
    });
    response.once('end', () => resolve(Buffer.concat(chunks)));
    response.on('error', reject);
    response.once('close', () => {
      // It closes after its end too, and an error takes longer to make than all the rest.
      if (!response.readableEnded) reject(new Error('connection closed within the answer'));
    });
  });
}

class HttpSender implements Sender {
  readonly wantsGzip: boolean;
  private readonly agent: http.Agent;
  private readonly target: http.RequestOptions;
  private readonly secure: boolean;
  private readonly open = new Set<http.ClientRequest>();

  constructor(private readonly init: HttpSenderInit) {
    const url = new URL(init.url);
    this.secure = url.protocol === 'https:';
    const kept = { keepAlive: true, maxSockets: init.concurrency, maxFreeSockets: init.concurrency };
    this.agent = this.secure ? new https.Agent({ ...kept, ...init.tls }) : new http.Agent(kept);
    this.target = {
      protocol: url.protocol,
      hostname: url.hostname.replace(/^\[(.*)\]$/, '$1'),
      port: url.port,
      path: `${url.pathname}${url.search}`,
      method: 'POST',
      agent: this.agent,
      ...(url.username !== '' && {
        auth: `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`,
      }),
    };
    this.wantsGzip = init.gzip;
  }

  carries(_: EncodingName): boolean {
    return true;
  }

  async send(consignment: Consignment, signal: AbortSignal): Promise<Answer> {
    try {
      const headers = await headersOf(this.init.headers);
      const received = await this.exchange(consignment, headers, signal);
      if (received.body === undefined)
        return { kind: 'refused', reason: 'export_failed', why: `an answer of more than ${mostBytes} bytes` };
      return this.judge({ response: received.response, body: received.body }, consignment.encoding);
    } catch (error) {
      return { kind: 'later', why: error instanceof Error ? error.message : String(error) };
    }
  }

  letGo(): void {
    for (const request of [...this.open])
      if (holdsProcess(request)) request.destroy(new Error('it took longer than the process may be held'));
  }

  close(): void {
    this.agent.destroy();
  }

  private async exchange(
    { body, encoding, gzipped }: Consignment,
    given: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<{ readonly response: http.IncomingMessage; readonly body: Buffer | undefined }> {
    const headers = {
      ...given,
      'content-type': encodings[encoding].contentType,
      'content-length': body.length,
      ...(gzipped && { 'content-encoding': 'gzip' }),
    };
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const attempt = (): void => {
        const request = (this.secure ? https : http).request({ ...this.target, headers, signal });
        holdsNobody(request);
        this.open.add(request);
        request.once('close', () => this.open.delete(request));
        request.once('response', resolve);
        request.on('error', (error) => {
          if (wasStale(request, error) && !signal.aborted) attempt();
          else reject(error);
        });
        request.end(body);
      };
      attempt();
    });
    return { response, body: await read(response) };
  }

  private judge({ response, body }: Received, encoding: EncodingName): Answer {
    const status = response.statusCode ?? 0;
    const { headers } = response;
    if (status >= 200 && status < 300) {
      if (body.length === 0) return { kind: 'taken', rejected: 0, message: '' };
      const reply = encodings[encoding].reply(body);
      if (reply !== undefined) return { kind: 'taken', ...reply };
      const type = headers['content-type'] ?? 'something';
      const message = `HTTP ${status} with ${type} that is no answer of OTLP: ${body.subarray(0, mostShown)}`;
      return { kind: 'taken', rejected: 0, message };
    }
    const why = `HTTP ${status} ${answerText(body, headers['content-type'])}`;
    if (status === 413) return { kind: 'too_large', why };
    if (retryable.includes(status)) {
      const afterMs = retryAfterMs(headers['retry-after'], headers.date, this.init.clock.wallMs());
      return { kind: 'later', afterMs, why };
    }
    return { kind: 'refused', reason: status === 400 ? 'rejected' : 'export_failed', why };
  }
}

/**
 * Sends over HTTP/1.1 with `node:http` on kept connections. `fetch` takes three times the CPU for each request, its idle
 * sockets hold the process, and it is what programs replace and instrument most.
 */
export function httpSender(init: HttpSenderInit): Sender {
  return new HttpSender(init);
}
