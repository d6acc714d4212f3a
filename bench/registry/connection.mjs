// HTTP/1.1 with the least work per answer, so that it is the server that is measured and not who asks.
import net from 'node:net';

const endOfHead = Buffer.from('\r\n\r\n');

/** One kept connection with one request under way at a time. */
export class Connection {
  /** @type {((text: Buffer) => void) | undefined} */
  #done;
  /** @type {((error: Error) => void) | undefined} */
  #failed;
  /** @type {Buffer[]} */
  #chunks = [];
  #bytes = 0;
  /** Whole length of the answer; unknown before its head is there. */
  #wanted = Number.NaN;
  #chunked = false;

  /** @param {net.Socket} socket */
  constructor(socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', (error) => this.#failed?.(error));
    socket.on('close', () => this.#failed?.(new Error('the server closed a connection')));
  }

  /** @param {string} host @returns {Promise<Connection>} */
  static open(host) {
    const { hostname, port } = new URL(`http://${host}`);
    return new Promise((resolve, reject) => {
      const socket = net.connect(Number(port), hostname, () => {
        socket.off('error', reject);
        resolve(new Connection(socket));
      });
      socket.once('error', reject);
    });
  }

  /** @param {string | Buffer} request @returns {Promise<Buffer>} head and body */
  ask(request) {
    return new Promise((resolve, reject) => {
      this.#done = resolve;
      this.#failed = reject;
      this.socket.write(request);
    });
  }

  close() {
    this.#failed = undefined;
    this.socket.destroy();
  }

  /** @param {Buffer} chunk */
  #take(chunk) {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (Number.isNaN(this.#wanted) && !this.#chunked) this.#readHead();
    if (this.#chunked ? !chunk.subarray(-5).equals(lastChunk) : !(this.#bytes >= this.#wanted)) return;
    const answer = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#bytes = 0;
    this.#wanted = Number.NaN;
    this.#chunked = false;
    const done = this.#done;
    this.#done = undefined;
    this.#failed = undefined;
    done?.(answer);
  }

  #readHead() {
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    const end = all?.indexOf(endOfHead) ?? -1;
    if (all === undefined || end < 0) return;
    const head = all.toString('latin1', 0, end).toLowerCase();
    const [, length] = /\r\ncontent-length: *(\d+)/.exec(head) ?? [];
    if (length === undefined) this.#chunked = true;
    else this.#wanted = end + 4 + Number(length);
  }
}

const lastChunk = Buffer.from('0\r\n\r\n');

/** @param {string} method @param {string} path @param {{ body?: string, type?: string, headers?: string }} [more] */
export function request(
  method,
  path,
  { body, type = 'application/x-www-form-urlencoded', headers = '' } = {},
) {
  const about =
    body === undefined ? '' : `content-type: ${type}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n`;
  return `${method} ${path} HTTP/1.1\r\nhost: localhost\r\n${headers}${about}\r\n${body ?? ''}`;
}
