// One of the five services; which one, NAME says. A chain goes through all of them, a fan-out from the first to the rest.
// api3 is slow, and api5 fails now and then.
//
// Each answer lists the calls that it took, as their callers saw them: nothing of keelson counts those.
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { createApp } from 'keelson';
import { metricsHandler, telemetry } from 'keelson/otel';

const names = ['api1', 'api2', 'api3', 'api4', 'api5'];
const routes = ['/chain/:id', '/fan/:id', '/leaf/:id', '/about'];
const { NAME = '', REGISTRY, COLLECTOR } = process.env;

const pipeline = telemetry({
  service: NAME,
  endpoint: COLLECTOR,
  protocol: 'http/json',
  // So that each exemplar leads to a trace. In production leave this out: then those are kept that failed or were slow.
  sampling: { mode: 'always' },
});
// On a port of its own: who scrapes is no caller of the service.
const metrics = http.createServer(metricsHandler(pipeline));
await once(metrics.listen(0, '127.0.0.1'), 'listening');
const metricsAt = `127.0.0.1:${/** @type {any} */ (metrics.address()).port}`;
// It shuts the pipeline down at its end, so that the last spans and metrics leave.
const app = createApp({ service: NAME, registry: REGISTRY, telemetry: pipeline });
const behind = names.slice(names.indexOf(NAME) + 1);
const clients = new Map(behind.map((name) => [name, app.fetch(name, { routes, timeoutMs: 30_000 })]));

async function call(to, path) {
  const [, route] = path.split('/');
  const made = { from: NAME, to, operation: `GET /${route}/:id` };
  try {
    const response = await clients.get(to)?.(path);
    const further = /** @type {any} */ (await response?.json());
    return [{ ...made, failed: !response?.ok }, ...further];
  } catch {
    return [{ ...made, failed: true }];
  }
}

async function callsOf(route, id) {
  if (route === 'chain') return behind.length > 0 ? call(behind[0], `/chain/${id}`) : [];
  if (route === 'fan') return (await Promise.all(behind.map((name) => call(name, `/leaf/${id}`)))).flat();
  return [];
}

const listener = app.listener(
  async (req, res) => {
    const [, route, id] = (req.url ?? '').split('/');
    if (route === 'about') {
      res.end(JSON.stringify({ edges: app.edges('total'), metricsAt }));
      return;
    }
    if (NAME === 'api3') await sleep(60);
    const calls = await callsOf(route, id);
    res.statusCode = NAME === 'api5' && Number(id) % 7 === 0 ? 503 : 200;
    res.end(JSON.stringify(calls));
  },
  // On a machine that is busy with other things calls would be refused, and the numbers not be round.
  { routes, queue: false },
);
const { url } = await app.serve(http.createServer(listener), { host: '127.0.0.1' });
console.log(`${NAME} at ${url}`);
