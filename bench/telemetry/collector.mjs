// Stands in for a collector, in a process of its own: takes OTLP over HTTP, counts spans and bytes, and goes away when told.
import http from 'node:http';
import { gunzipSync } from 'node:zlib';

/** Fields of OTLP on the way to a span: resource_spans, scope_spans, spans. */
const path = [1, 2, 2];

/** @param {Buffer} bytes @param {number} from @returns {[value: number, next: number]} */
function varint(bytes, from) {
  let value = 0;
  let scale = 1;
  for (let at = from; ; at++) {
    const byte = /** @type {number} */ (bytes[at]);
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return [value, at + 1];
    scale *= 128;
  }
}

/** Counts the spans of a request without reading what is in them. @param {Buffer} bytes @param {number} [depth] @returns {number} */
function spansIn(bytes, depth = 0) {
  let count = 0;
  for (let at = 0; at < bytes.length; ) {
    const [tag, after] = varint(bytes, at);
    const [length, start] = varint(bytes, after);
    if ((tag & 7) !== 2) {
      at = (tag & 7) === 0 ? start : after + ((tag & 7) === 1 ? 8 : 4);
      continue;
    }
    at = start + length;
    if (tag >> 3 !== path[depth]) continue;
    count += depth === path.length - 1 ? 1 : spansIn(bytes.subarray(start, at), depth + 1);
  }
  return count;
}

/** @type {Map<string, { spans: number, bytes: number, requests: number }>} by the first part of the path */
const tallies = new Map();
/** @param {string} name */
const tallyOf = (name) => {
  const tally = tallies.get(name) ?? { spans: 0, bytes: 0, requests: 0 };
  tallies.set(name, tally);
  return tally;
};

/** @param {http.IncomingMessage} req @param {http.ServerResponse} res */
function take(req, res) {
  /** @type {Buffer[]} */
  const chunks = [];
  req.on('data', (chunk) => chunks.push(chunk));
  req.on('end', () => {
    const body = Buffer.concat(chunks);
    const [, name = '', , signal] = (req.url ?? '').split('/');
    if (signal === 'traces') {
      const tally = tallyOf(name);
      tally.spans += spansIn(req.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body);
      tally.bytes += body.length;
      tally.requests++;
    }
    res.writeHead(200, { 'content-type': 'application/x-protobuf', 'content-length': 0 }).end();
  });
}

/** @type {http.Server | undefined} */
let server;
let port = 0;

/** @returns {Promise<void>} */
function open() {
  const made = http.createServer(take);
  server = made;
  return new Promise((resolve) => {
    made.listen(port, '127.0.0.1', () => {
      port = /** @type {import('node:net').AddressInfo} */ (made.address()).port;
      resolve();
    });
  });
}

/** @returns {Promise<void>} */
function leave() {
  return new Promise((resolve) => {
    server?.close(() => resolve());
    server?.closeAllConnections();
  });
}

process.on('message', async (/** @type {{ ask: 'away' | 'back' | 'tally' }} */ { ask }) => {
  if (ask === 'away') await leave();
  if (ask === 'back') await open();
  process.send?.(ask === 'tally' ? Object.fromEntries(tallies) : {});
});
process.on('disconnect', () => process.exit());
await open();
process.send?.({ port });
