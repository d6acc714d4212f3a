// A connection without a socket: what a server adds to a call, and no kernel between.
import { Duplex } from 'node:stream';

const request = Buffer.from('GET /users/42 HTTP/1.1\r\nhost: users\r\naccept: */*\r\n\r\n');

/** @param {string} text of an answer, as far as it has come */
function isWhole(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const length = /^content-length: (\d+)/im.exec(text)?.[1];
  return length === undefined ? text.endsWith('0\r\n\r\n') : text.length >= end + 4 + Number(length);
}

class MemoryConnection extends Duplex {
  remoteAddress = '127.0.0.1';
  received = '';
  /** @type {(answer: string) => void} */
  answered = () => undefined;

  /** @override */
  _read() {
    // A request is pushed when there is one.
  }
  /** @override @param {Buffer} chunk @param {string} _encoding @param {() => void} done */
  _write(chunk, _encoding, done) {
    this.received += chunk.toString('latin1');
    done();
    if (!isWhole(this.received)) return;
    const answer = this.received;
    this.received = '';
    // The server is done with the exchange only when this write has returned.
    setImmediate(() => this.answered(answer));
  }
  // What `node:http` expects of a socket.
  setTimeout() {
    return this;
  }
  setNoDelay() {
    return this;
  }
  setKeepAlive() {
    return this;
  }
}

/** Calls a server one request after the other. @param {import('node:http').Server} server */
export function memoryCaller(server) {
  const connection = new MemoryConnection();
  server.emit('connection', connection);
  return () =>
    /** @type {Promise<number>} */ (
      new Promise((resolve) => {
        connection.answered = (answer) => resolve(answer.startsWith('HTTP/1.1 200') ? 1 : 0);
        connection.push(request);
      })
    );
}
