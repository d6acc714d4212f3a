// A hello of `node:http`, which knows nothing of what traces it. CommonJS: without a loader, the usual auto-instrumentation sees
// nothing else.
const http = require('node:http');

const body = '{"hello":"world"}';
const server = http.createServer((_, res) => {
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  res.end(body);
});
server.keepAliveTimeout = 60_000;

process.on('message', async (/** @type {{ ask: 'cpu' | 'flush' }} */ { ask }) => {
  if (ask === 'flush') await /** @type {any} */ (globalThis).benchTelemetry?.flush();
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMs: (user + system) / 1000, residentBytes: process.memoryUsage.rss() });
});
process.on('disconnect', () => process.exit());
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: /** @type {import('node:net').AddressInfo} */ (server.address()).port });
});
