// The one who asks, in a process of its own: over kept connections, as little as a client can be.
import { connect } from 'node:net';

const request = Buffer.from(
  'GET /hello HTTP/1.1\r\nhost: bench:80\r\nuser-agent: bench\r\naccept: */*\r\n\r\n',
);

class Line {
  /** @type {(() => void) | undefined} */
  done = undefined;
  received = 0;
  expected = 0;

  /** @param {number} port */
  constructor(port) {
    this.socket = connect(port, '127.0.0.1').setNoDelay(true);
    this.open = new Promise((resolve, reject) => this.socket.once('connect', resolve).once('error', reject));
    this.socket.on('data', (bytes) => this.read(bytes));
  }

  /** @param {() => void} done */
  ask(done) {
    this.done = done;
    this.socket.write(request);
  }

  /** All answers are alike but for the date, which is as long each time. @param {Buffer} bytes */
  read(bytes) {
    if (this.expected === 0) {
      const text = bytes.toString('latin1');
      const head = text.indexOf('\r\n\r\n');
      const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1];
      if (!text.startsWith('HTTP/1.1 200') || head < 0 || length === undefined)
        throw new Error(`no answer: ${text}`);
      this.expected = head + 4 + Number(length);
    }
    this.received += bytes.length;
    if (this.received < this.expected) return;
    this.received = 0;
    this.done?.();
  }
}

/** @param {number[]} times @param {number} q */
const quantile = (times, q) => times[Math.min(times.length - 1, Math.floor(q * times.length))] ?? Number.NaN;

/** So many requests, one at a time on each connection. @param {readonly Line[]} lines @param {number} count */
async function closed(lines, count) {
  let left = count;
  const from = performance.now();
  await Promise.all(
    lines.map(
      (line) =>
        new Promise((resolve) => {
          const next = () => {
            if (left-- > 0) line.ask(next);
            else resolve(undefined);
          };
          next();
        }),
    ),
  );
  return { answered: count, seconds: (performance.now() - from) / 1000 };
}

/** At a given rate; times count from when a request was due. @param {readonly Line[]} lines @param {{ count: number, perSecond: number }} plan */
async function open(lines, { count: total, perSecond }) {
  const idle = [...lines];
  /** @type {number[]} */
  const times = [];
  const from = performance.now();
  let sent = 0;
  await new Promise((resolve) => {
    const send = () => {
      while (sent < total && idle.length > 0 && from + (sent * 1000) / perSecond <= performance.now()) {
        const due = from + (sent * 1000) / perSecond;
        const line = /** @type {Line} */ (idle.pop());
        sent++;
        line.ask(() => {
          times.push(performance.now() - due);
          idle.push(line);
          if (times.length === total) resolve(undefined);
          else send();
        });
      }
    };
    const timer = setInterval(() => {
      send();
      if (times.length === total) clearInterval(timer);
    }, 1);
  });
  times.sort((a, b) => a - b);
  return {
    answered: total,
    seconds: (performance.now() - from) / 1000,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
  };
}

/** @type {Map<number, readonly Line[]>} */
const known = new Map();

process.on(
  'message',
  async (/** @type {{ port: number, connections: number, count: number, perSecond?: number }} */ task) => {
    let lines = known.get(task.port);
    if (lines === undefined) {
      lines = Array.from({ length: task.connections }, () => new Line(task.port));
      known.set(task.port, lines);
    }
    await Promise.all(lines.map((line) => line.open));
    const { perSecond } = task;
    process.send?.(
      perSecond === undefined ? await closed(lines, task.count) : await open(lines, { ...task, perSecond }),
    );
  },
);
process.on('disconnect', () => process.exit());
process.send?.({});
