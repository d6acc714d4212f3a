// Says what CPU time its process has used, to whoever asks. On a thread of its own: the one that serves is too busy.
import { createServer } from 'node:net';
import { parentPort } from 'node:worker_threads';

const server = createServer((socket) => {
  socket.on('error', () => undefined);
  socket.on('data', () => {
    const { user, system } = process.cpuUsage();
    socket.write(String(user + system));
  });
});
server.listen(0, '127.0.0.1', () => parentPort?.postMessage(/** @type {any} */ (server.address()).port));
