// Two services in one process, found through a registry: orders asks users. Deadline and trace travel along.
//
// expect: orders says: order 7 for Ada
// expect: users had at most 500 ms left: true
import http from 'node:http';
import { createApp, memory } from 'keelson';

const registry = memory();

const usersApp = createApp({ service: 'users', registry, signals: false });
let leftMs;
const usersServer = http.createServer(
  usersApp.listener((_req, res, call) => {
    leftMs = call.deadline - performance.now();
    res.end('Ada');
  }),
);
await usersApp.serve(usersServer, { host: '127.0.0.1' });

const ordersApp = createApp({ service: 'orders', registry, signals: false });
const users = ordersApp.fetch('users', { timeoutMs: 500 });
const ordersServer = http.createServer(
  ordersApp.listener(
    async (req, res) => {
      const user = await users('/users/42');
      res.end(`order ${req.url?.split('/').pop()} for ${await user.text()}`);
    },
    { routes: ['/orders/:id'], health: true },
  ),
);
const { url } = await ordersApp.serve(ordersServer, { host: '127.0.0.1' });

console.log(`orders says: ${await (await fetch(`${url}/orders/7`)).text()}`);
console.log(`users had at most 500 ms left: ${leftMs <= 500}`);

// Deregister, drain, close: users last, since orders may still be asking.
await ordersApp.stop();
await usersApp.stop();
