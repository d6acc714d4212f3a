import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Header } from './cases.js';

/** What a service sent while it was tested. */
export interface Received {
  /** As it stood on the wire: name, value, name, value. */
  readonly rawHeaders: readonly string[];
  /** The body. */
  readonly body: string;
}

/** Drives a service that speaks the harness's protocol, under any address. */
export interface Harness {
  /** Has the service make some calls, and tells what each sent. */
  drive(headers: readonly Header[], calls?: number): Promise<readonly Received[]>;
  close(): Promise<void>;
}

/** Every value of one header, before anybody joins them. */
export function valuesOf({ rawHeaders }: Received, name: string): string[] {
  return rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name);
}

async function bodyOf(request: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}

/** Headers go out as they stand here, repeated ones too. */
function post(base: string, headers: readonly Header[], body: string): Promise<number> {
  const { hostname, port } = new URL(base);
  const own: Header[] = [
    ['host', `${hostname}:${port}`],
    ['content-type', 'application/json'],
    ['content-length', String(Buffer.byteLength(body))],
  ];
  const options = { hostname, port, agent: false, method: 'POST', path: '/test' } as const;
  return new Promise((resolve, reject) => {
    const request = http.request({ ...options, headers: [...own, ...headers].flat() }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode ?? 0));
    });
    request.on('error', reject).end(body);
  });
}

/** @param base - address of the service: `http://127.0.0.1:5000` */
export async function harness(base: string): Promise<Harness> {
  let seen: Received[] = [];
  const server = http.createServer((request, response) => {
    bodyOf(request).then(
      (body) => {
        seen.push({ rawHeaders: request.rawHeaders, body });
        response.end('null');
      },
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const here = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    async drive(headers, calls = 1) {
      seen = [];
      const asked = Array.from({ length: calls }, (_, at) => ({ url: `${here}/call.${at}`, arguments: [] }));
      const status = await post(base, headers, JSON.stringify(asked));
      if (status !== 200) throw new Error(`the service answered ${status}`);
      if (seen.length !== calls) throw new Error(`the service made ${seen.length} calls, not ${calls}`);
      return seen;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
