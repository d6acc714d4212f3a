// Unary calls of gRPC over node:http2: grpc-js itself would need more of the machine than the server does.
import { once } from 'node:events';
import { connect, constants } from 'node:http2';

const sessions = 8;
const message = Buffer.from(JSON.stringify({ id: '42' }));
const framed = Buffer.concat([Buffer.alloc(5), message]);
framed.writeUInt32BE(message.length, 1);

/** @param {number} timeoutMs @returns {import('node:http2').OutgoingHttpHeaders} */
const headersFor = (timeoutMs) => ({
  ':method': 'POST',
  ':path': '/bench.Users/Get',
  'content-type': 'application/grpc',
  te: 'trailers',
  'grpc-timeout': `${timeoutMs}m`,
});

const resourceExhausted = '8';

export class GrpcSender {
  /** @param {number} port @param {number} timeoutMs */
  constructor(port, timeoutMs) {
    this.headers = headersFor(timeoutMs);
    this.sessions = Array.from({ length: sessions }, () => connect(`http://127.0.0.1:${port}`));
    for (const session of this.sessions) session.on('error', () => undefined);
    this.next = 0;
  }

  /** Resolves when the connections are there. */
  async ready() {
    const connecting = this.sessions.filter((session) => session.connecting);
    await Promise.all(connecting.map((session) => once(session, 'connect')));
  }

  /** @param {(end: import('./http-sender.mjs').End) => void} done called once, unless it is aborted @returns {() => void} what aborts it */
  send(done) {
    const session = /** @type {import('node:http2').ClientHttp2Session} */ (
      this.sessions[this.next++ % sessions]
    );
    const stream = session.request(this.headers);
    /** @type {string | undefined} */
    let status;
    let over = false;
    const note = (/** @type {import('node:http2').IncomingHttpHeaders} */ headers) => {
      status ??= /** @type {string | undefined} */ (headers['grpc-status']);
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('error', () => undefined);
    stream.on('close', () => {
      if (over) return;
      over = true;
      done(status === '0' ? 'ok' : status === resourceExhausted ? 'refused' : 'failed');
    });
    stream.resume();
    stream.end(framed);
    return () => {
      over = true;
      stream.close(constants.NGHTTP2_CANCEL);
    };
  }

  close() {
    for (const session of this.sessions) session.destroy();
  }
}
