import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from './caller.js';
import type { Engine, Exchange } from './engine.js';
import { gzipped, leastGzipBytes, takesGzip } from './gzipped.js';
import type { Reply } from './reply.js';
import { bodyOf, type ReplyBody } from './reply-body.js';

/** One request on its connection. */
export class HttpExchange implements Exchange {
  readonly connection: object;
  caller: Caller | undefined;
  private over = false;
  private answered = false;

  private readonly request: IncomingMessage;
  private readonly response: ServerResponse;

  constructor(
    private readonly engine: Engine,
    private readonly parts: {
      readonly request: IncomingMessage;
      readonly response: ServerResponse;
      /** Without its query. */
      readonly path: string;
    },
  ) {
    const { request, response } = parts;
    this.request = request;
    this.response = response;
    this.connection = request.socket;
    response.once('close', () => {
      this.over = true;
    });
    // Written to a moment after the client left: there is nobody to tell, and unheard it would end the process.
    response.on('error', () => undefined);
  }

  get patienceMs(): number {
    const told = Number(this.request.headers['x1-bmspy-timeout'] ?? Number.NaN);
    return told > 0 ? told : Number.POSITIVE_INFINITY;
  }

  onGone(run: () => void): void {
    if (this.over) run();
    else this.response.once('close', run);
  }

  answer(reply: Reply): void {
    if (this.over || this.answered) return;
    this.answered = true;
    this.engine.traffic.count(this.parts.path, reply.code);
    const whole = bodyOf(reply);
    if (whole.length >= leastGzipBytes && takesGzip(this.request.headers['accept-encoding']))
      gzipped(reply).then(
        (body) => this.send(reply, { parts: [body], length: body.length, encoding: 'gzip' }),
        () => this.send(reply, whole),
      );
    else this.send(reply, whole);
  }

  private send(
    { code, status }: Reply,
    { parts, length, encoding }: ReplyBody & { readonly encoding?: string },
  ): void {
    if (this.over) return;
    const { response } = this;
    const closes = this.engine.closing || status !== 200;
    response.writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'kratos-status-code': String(code),
      'content-length': length,
      ...(encoding && { 'content-encoding': encoding }),
      ...(status === 401 && { 'www-authenticate': 'Bearer' }),
      // The rest of a body that was refused is still on its way; and when closing nothing more is to come.
      ...(closes && { connection: 'close' }),
    });
    const [only] = parts;
    if (parts.length === 1) {
      response.end(only);
      return;
    }
    response.cork();
    for (const part of parts) response.write(part);
    response.end();
    response.uncork();
  }

  text(status: number, text: string, type = 'text/plain; charset=utf-8'): void {
    if (this.over || this.answered) return;
    this.answered = true;
    this.response.writeHead(status, { 'content-type': type });
    this.response.end(text);
  }
}
