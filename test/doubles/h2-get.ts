import { once } from 'node:events';
import type { ClientHttp2Session } from 'node:http2';

/** Status and body of one request over HTTP/2. */
export async function h2Get(session: ClientHttp2Session, path: string): Promise<[number, string]> {
  const stream = session.request({ ':path': path });
  stream.setEncoding('utf8');
  let status = 0;
  let body = '';
  stream.on('response', (headers) => {
    status = headers[':status'] ?? 0;
  });
  stream.on('data', (chunk: string) => {
    body += chunk;
  });
  await once(stream, 'end');
  return [status, body];
}
