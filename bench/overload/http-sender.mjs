// As little as a client of HTTP/1.1 can be: what it costs is taken from the server on a small machine.
import { connect } from 'node:net';

/** `held`: the caller itself did not send it. @typedef {'ok' | 'refused' | 'held' | 'failed'} End */

const request = Buffer.from(
  'GET /work HTTP/1.1\r\nhost: users\r\naccept: */*\r\nuser-agent: bench\r\n' +
    'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00\r\n\r\n',
);

/** One connection, with one request at a time. */
class Line {
  /** @type {((end: End) => void) | undefined} */
  done = undefined;
  text = '';

  /** @param {HttpSender} sender @param {Line[]} idle of its caller */
  constructor(sender, idle) {
    this.sender = sender;
    this.idle = idle;
    this.socket = connect(sender.port, '127.0.0.1');
    /** @type {Promise<unknown>} */
    this.connected = new Promise((resolve) => this.socket.once('connect', resolve).once('close', resolve));
    this.socket.setNoDelay(true).setEncoding('latin1');
    this.socket.on('data', (/** @type {string} */ text) => this.read(text));
    // `close` follows.
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => this.end('failed', false));
  }

  /** @param {string} text */
  read(text) {
    this.text = this.text === '' ? text : this.text + text;
    const head = this.text.indexOf('\r\n\r\n');
    if (head < 0) return;
    const length = /\r\ncontent-length: (\d+)/i.exec(this.text)?.[1];
    if (length === undefined) throw new Error(`no answer that was expected: ${this.text}`);
    if (this.text.length < head + 4 + Number(length)) return;
    const status = this.text.slice(9, 12);
    const kept = !/\r\nconnection: close/i.test(this.text.slice(0, head));
    this.text = '';
    this.end(status === '200' ? 'ok' : status === '503' ? 'refused' : 'failed', kept);
  }

  /** @param {End} end @param {boolean} kept */
  end(end, kept) {
    const { done } = this;
    this.done = undefined;
    if (kept) this.idle.push(this);
    else this.gone();
    done?.(end);
  }

  gone() {
    this.socket.destroy();
    const at = this.idle.indexOf(this);
    if (at >= 0) this.idle.splice(at, 1);
    this.sender.lines.delete(this);
  }
}

/**
 * Who calls over HTTP/1: `fleet`, 30 processes that open a connection when they have none that is idle, as agents do; or
 * `proxy`, one that keeps a thousand open. Each request is on a connection that no other is on, the one that was used last.
 * Whoever gives up closes the connection, as HTTP/1 has no other way to say so; the proxy opens another one.
 *
 * @typedef {'fleet' | 'proxy'} Callers
 */

const pools = { fleet: { callers: 30, open: 0 }, proxy: { callers: 1, open: 1000 } };

export class HttpSender {
  /** @type {Set<Line>} */
  lines = new Set();

  /** @param {number} port @param {Callers} callers @param {() => number} random */
  constructor(port, callers, random) {
    this.port = port;
    this.random = random;
    this.open = pools[callers].open;
    /** @type {Line[][]} */
    this.idle = Array.from({ length: pools[callers].callers }, () => []);
    this.fill();
  }

  /** Resolves when all is there that is to be there beforehand. */
  async ready() {
    await Promise.all([...this.lines].map(({ connected }) => connected));
  }

  /** @param {(end: End) => void} done called once, unless it is aborted @returns {() => void} what aborts it */
  send(done) {
    const idle = /** @type {Line[]} */ (this.idle[Math.floor(this.random() * this.idle.length)]);
    const line = idle.pop() ?? this.made(idle);
    line.done = done;
    line.socket.write(request);
    return () => {
      line.done = undefined;
      line.gone();
      this.fill();
    };
  }

  /** @param {Line[]} idle */
  made(idle) {
    const line = new Line(this, idle);
    this.lines.add(line);
    return line;
  }

  fill() {
    for (const idle of this.idle) while (this.lines.size < this.open) idle.push(this.made(idle));
  }

  close() {
    for (const line of this.lines) line.socket.destroy();
  }
}
