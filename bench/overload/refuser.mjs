// A server that refuses all it is asked, in one of several ways, in a process of its own.
//   refuser.mjs <way>
import { createServer } from 'node:http';
import { createServer as createRawServer } from 'node:net';

const way = process.argv[2] ?? '';
const body = 'OVERLOADED\n';
const headers = {
  'content-type': 'text/plain; charset=utf-8',
  'content-length': String(body.length),
  'x-keelson-shed': 'OVERLOADED',
  'retry-after-ms': '1000',
  'retry-after': '1',
};
const bytes = Buffer.from(
  `HTTP/1.1 503 Service Unavailable\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}Connection: keep-alive\r\n\r\n${body}`,
);

/** @param {boolean} rejectEarly */
async function governed(rejectEarly) {
  const [{ createApp }, { concurrency }] = await Promise.all([import('keelson'), import('keelson/limiter')]);
  const app = createApp({ service: 'users', signals: false });
  // Less than one call.
  const limits = [concurrency({ limit: 0.5 })];
  return createServer(app.listener((_req, res) => void res.end('ok'), { limits, queue: false, rejectEarly }));
}

async function made() {
  if (way === 'socket')
    return createRawServer(
      (socket) => void socket.on('data', () => socket.write(bytes)).on('error', () => undefined),
    );
  if (way === 'node') {
    return createServer((_req, res) => {
      res.writeHead(503, headers);
      res.end(body);
    });
  }
  return governed(way === 'early');
}

const server = await made();
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuUs: user + system });
});
process.once('disconnect', () => process.exit());
server.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  process.send?.({ port });
});
