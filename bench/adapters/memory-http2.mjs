// A gRPC connection without a socket: frames are made and read, and no kernel is between.
import http2 from 'node:http2';
import { Duplex } from 'node:stream';
import { ServerCredentials } from '@grpc/grpc-js';
import { usersService } from '../grpc-users.mjs';

/** One end of a connection; what is written to it is read from the other. */
class End extends Duplex {
  remoteAddress = '127.0.0.1';
  /** @type {End | undefined} */
  other;

  /** @override */
  _read() {
    // The other end pushes.
  }
  /** @override @param {Buffer} chunk @param {string} _encoding @param {() => void} done */
  _write(chunk, _encoding, done) {
    // Not within the write of the other end: its session may be in the middle of reading.
    setImmediate(() => {
      this.other?.push(chunk);
      done();
    });
  }
}

function connection() {
  const [near, far] = [new End(), new End()];
  near.other = far;
  far.other = near;
  return { near, far };
}

/** @param {Buffer} message */
function framed(message) {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

const { path, requestSerialize } = usersService.Get;
const message = framed(requestSerialize({ id: '42' }));
const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };

/** Calls a server one call after the other. @param {import('@grpc/grpc-js').Server} server */
export function memoryHttp2Caller(server) {
  const { near, far } = connection();
  server.createConnectionInjector(ServerCredentials.createInsecure()).injectConnection(far);
  const session = http2.connect('http://users', { createConnection: () => near });
  return () =>
    /** @type {Promise<number>} */ (
      new Promise((resolve, reject) => {
        let status = '';
        const stream = session.request(headers);
        stream.once('trailers', (trailers) => {
          status = String(trailers['grpc-status']);
        });
        stream.once('error', reject);
        stream.once('close', () => resolve(status === '0' ? 1 : 0));
        stream.resume();
        stream.end(message);
      })
    );
}
