import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as a double sees it. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** An answer; `hang` for none at all, `reset` for a connection that breaks. */
export type Answer =
  | { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: string }
  | 'hang'
  | 'reset';

/** A server whose answers a subclass gives, and a test may replace one by one. */
export abstract class HttpDouble {
  readonly asked: Asked[] = [];
  url = '';
  /** Asked before everything else; undefined to answer as usual. */
  fault: ((asked: Asked) => Answer | undefined) | undefined;
  private readonly server = http.createServer((request, response) => void this.serve(request, response));

  async start(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(port, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return this;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** How often something was asked. */
  count(method: string, path: RegExp | string): number {
    const matches = (its: string): boolean => (typeof path === 'string' ? its === path : path.test(its));
    return this.asked.filter((asked) => asked.method === method && matches(asked.path)).length;
  }

  /** The usual answer; a stream is written by hand, and undefined is returned then. */
  protected abstract answer(
    asked: Asked,
    response: http.ServerResponse,
  ): Promise<Answer | undefined> | Answer | undefined;

  private async serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://double');
    const asked: Asked = {
      method: request.method ?? '',
      path: pathname,
      query: searchParams,
      headers: request.headers,
      body: Buffer.concat(chunks).toString(),
    };
    this.asked.push(asked);
    const answer = this.fault?.(asked) ?? (await this.answer(asked, response));
    if (answer === undefined || answer === 'hang' || response.destroyed) return;
    if (answer === 'reset') response.destroy();
    else {
      response.writeHead(answer.status ?? 200, answer.headers);
      response.end(answer.body ?? '');
    }
  }
}

/** Waits for what real sockets have to bring about. */
export async function until(holds: () => unknown, what = holds.toString()): Promise<void> {
  const end = Date.now() + 5_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`never came true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/**
 * Lets time go by in steps, between which real sockets have their turn; until something holds, if it is given. A step is
 * so short that a busy machine is not taken for a server that does not answer.
 */
export async function pass(
  clock: { advance(ms: number): Promise<void> },
  ms: number,
  holds: () => unknown = () => false,
): Promise<void> {
  const steps = Math.max(40, Math.ceil(ms / 500));
  for (let step = 0; step < steps && !holds(); step++) {
    await clock.advance(ms / steps);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
