import { once } from 'node:events';
import http2 from 'node:http2';

/** A client of a gRPC server that does what no library would. */
export async function rawSession(port: number, options: http2.ClientSessionOptions = {}) {
  const session = http2.connect(`http://127.0.0.1:${port}`, options);
  session.on('error', () => undefined);
  await once(session, 'connect');
  return session;
}

/** A message as it goes over the wire. */
export function frame(message: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

export interface RawAnswer {
  /** From the trailers, or from headers that are all there is. */
  readonly status: string | undefined;
  readonly headers: http2.IncomingHttpHeaders | undefined;
  /** Code of a reset, 0 for none. */
  readonly reset: number;
}

/** Opens a call. */
export function open(
  session: http2.ClientHttp2Session,
  path: string,
  headers: http2.OutgoingHttpHeaders = {},
): http2.ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => undefined);
  return stream;
}

/** How a call ends. */
export function answerOf(stream: http2.ClientHttp2Stream): Promise<RawAnswer> {
  let headers: http2.IncomingHttpHeaders | undefined;
  let status: string | undefined;
  stream.on('response', (received) => {
    headers = received;
    status ??= received['grpc-status'] as string | undefined;
  });
  stream.on('trailers', (received) => {
    status ??= received['grpc-status'] as string | undefined;
  });
  stream.resume();
  return new Promise((resolve) => {
    const done = (): void => resolve({ status, headers, reset: stream.rstCode ?? 0 });
    // A server may answer before the request is complete; the stream is open in the other direction then.
    stream.on('end', done);
    stream.on('close', done);
  });
}
