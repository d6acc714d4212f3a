// HTTP in, gRPC out: deadline, metadata and trace go from the one wire to the other.
import http from 'node:http';
import { promisify } from 'node:util';
import { createApp } from 'keelson';
import { governedClient } from 'keelson/grpc';
import { shop } from './shop.mjs';

const app = createApp({ service: 'gateway', registry: process.env.REGISTRY });
const orders = governedClient(app, shop.Orders, 'orders');
const getOrder = promisify(orders.getOrder.bind(orders));

const server = http.createServer(
  app.listener(
    async (req, res) => {
      const order = await getOrder({ id: req.url?.split('/').pop() });
      res.setHeader('content-type', 'application/json').end(JSON.stringify(order));
    },
    { routes: ['/orders/:id'], health: true },
  ),
);
const { url } = await app.serve(server, { host: '127.0.0.1' });
console.log(`gateway at ${url}`);
