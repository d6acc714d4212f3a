import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Engine, Exchange } from './engine.js';
import type { Reply } from './reply.js';

/** One request on its connection. */
export class HttpExchange implements Exchange {
  readonly connection: object;
  private over = false;

  constructor(
    private readonly engine: Engine,
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
  ) {
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
    if (this.over || this.response.headersSent) return;
    const { response } = this;
    let length = 0;
    for (const part of reply.parts) length += Buffer.byteLength(part);
    response.statusCode = reply.status;
    response.setHeader('content-type', 'application/json; charset=utf-8');
    response.setHeader('kratos-status-code', String(reply.code));
    response.setHeader('content-length', length);
    // The rest of a body that was refused is still on its way; and when closing nothing more is to come.
    if (this.engine.closing || reply.status !== 200) response.setHeader('connection', 'close');
    response.cork();
    for (const part of reply.parts) response.write(part);
    response.end();
    response.uncork();
  }

  text(status: number, text: string): void {
    if (this.over || this.response.headersSent) return;
    this.response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
    this.response.end(text);
  }
}
