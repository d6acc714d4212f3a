// Five services, api1 to api5, each a process of its own: a chain through all of them and a fan-out from the first, with
// one slow hop and one that fails now and then. A load generator logs every call; the edges that the services report are
// exactly those of the log. Spans and metrics go to a stand-in for a collector, and a real Prometheus scrapes the services
// if there is one on the PATH. With --stay everything runs on, to be looked at. See README.md.
//
// expect: /api1 > api2 +GET \/chain\/:id +60 calls, 0 errors/
// expect: /api4 > api5 +GET \/chain\/:id +60 calls, [1-9]\d* errors/
// expect: 8 edges in the log, 8 reported, calls and errors the same: true
// expect: their callees have served each try of them, and nothing else: true
// expect: slowest of the fan-out: api1 > api3
// expect: /Prometheus has counted the same: true|NO prometheus ON THE PATH/
// expect: /slowest of the fan-out by Prometheus: api1 > api3, trace [\da-f]{32}|NO prometheus ON THE PATH/
// expect: the collector has spans of api1, api2, api3, api4, api5
// expect: /the collector has that trace: true|NO prometheus ON THE PATH/
// expect: the collector has the metric keelson.edge.calls of api1, api2, api3, api4, api5
// seconds: 90
import { setTimeout as sleep } from 'node:timers/promises';
import { startRegistry, startService, stopAll } from '../processes/start.mjs';
import { startCollector } from './collector.mjs';
import { compare, countedBy, keyOf, print } from './edges.mjs';
import { startPrometheus } from './prometheus.mjs';

const names = ['api1', 'api2', 'api3', 'api4', 'api5'];
const collector = await startCollector();
const REGISTRY = await startRegistry();
const services = await Promise.all(
  names.map((NAME) =>
    startService(new URL('service.mjs', import.meta.url), { NAME, REGISTRY, COLLECTOR: collector.url }),
  ),
);

// The first call may come before all have heard of each other: an answer without failures says that they have.
const [api1] = services.map(({ url }) => url);
const ask = async (path) => /** @type {any} */ (await (await fetch(`${api1}${path}`)).json());
let warm = [];
while (!(warm.length > 0 && warm.every(({ failed }) => !failed))) warm = await ask('/fan/1');
await ask('/chain/1');

const aboutAll = () =>
  Promise.all(
    services.map(async ({ url }) => /** @type {any} */ (await (await fetch(`${url}/about`)).json())),
  );
const edgesNow = async (side) =>
  (await aboutAll()).flatMap(({ edges }) => edges.filter((it) => it.side === side));
const before = { client: await edgesNow('client'), server: await edgesNow('server') };

// 60 chains and 60 fan-outs, ten at a time.
const log = [];
let id = 0;
async function caller() {
  while (id < 120) {
    const mine = id++;
    log.push(...(await ask(`/${mine % 2 === 0 ? 'chain' : 'fan'}/${mine}`)));
  }
}
await Promise.all(Array.from({ length: 10 }, caller));

const edges = await edgesNow('client');
const counted = countedBy(edges, before.client);
for (const edge of edges) print(edge, counted.get(keyOf(edge)));
const logged = new Map();
for (const { from, to, operation, failed } of log) {
  const key = keyOf({ caller: from, callee: to, operation });
  const { count, errors } = logged.get(key) ?? { count: 0, errors: 0 };
  logged.set(key, { count: count + 1, errors: errors + Number(failed) });
}
const fields = ['count', 'errors'];
console.log(
  `${logged.size} edges in the log, ${counted.size} reported, calls and errors the same: ${compare(logged, counted, fields)}`,
);

// A caller may have its answer a moment before the callee has written the call down.
const tries = new Map([...counted].map(([key, { tries: count }]) => [key, { count }]));
let served = false;
for (let at = 0; !served && at < 50; at++, await sleep(100)) {
  const both = (await edgesNow('server')).filter((edge) => names.includes(edge.caller));
  served = compare(tries, countedBy(both, before.server), ['count']);
}
console.log(`their callees have served each try of them, and nothing else: ${served}`);

const [slowest] = edges
  .filter(({ operation }) => operation.includes('leaf'))
  .sort((a, b) => b.durationMs.p50 - a.durationMs.p50);
console.log(`slowest of the fan-out: ${slowest.caller} > ${slowest.callee}`);

const about = await aboutAll();
const prometheus = await startPrometheus(
  Object.fromEntries(about.map(({ metricsAt }, at) => [names[at], metricsAt])),
);
let trace;
if (prometheus === undefined) {
  console.log('!!! NO prometheus ON THE PATH: what a real one would answer is not shown');
} else {
  const labels = 'keelson_edge_caller, keelson_edge_callee, keelson_edge_operation';
  const total = new Map(edges.map((edge) => [keyOf(edge), { count: edge.count }]));
  // It begins to ask after five seconds.
  let same = false;
  for (let at = 0; !same && at < 200; at++, await sleep(100)) {
    const calls = await prometheus.query(
      `sum by (${labels}) (keelson_edge_calls_total{keelson_edge_side="client"})`,
    );
    const scraped = calls.map(({ metric, value }) => [
      keyOf({
        caller: metric.keelson_edge_caller,
        callee: metric.keelson_edge_callee,
        operation: metric.keelson_edge_operation,
      }),
      { count: Number(value[1]) },
    ]);
    same = compare(total, new Map(scraped), ['count']);
  }
  console.log(`Prometheus has counted the same: ${same}`);
  const leaf = 'http_client_request_duration_seconds_bucket{job="api1", url_template="/leaf/:id"}';
  const [top] = await prometheus.query(
    `topk(1, histogram_quantile(0.5, sum by (le, job, service_peer_name) (${leaf})))`,
  );
  const { job, service_peer_name: callee } = top.metric;
  const [series] = await prometheus.exemplars(leaf.replace('}', `, service_peer_name="${callee}"}`));
  trace = series.exemplars[0].labels.trace_id;
  console.log(`slowest of the fan-out by Prometheus: ${job} > ${callee}, trace ${trace}`);
}

if (process.argv.includes('--stay')) {
  console.log(`api1 at ${api1}/chain/1 and /fan/1, Prometheus at ${prometheus?.url}; Ctrl-C ends all`);
  await new Promise((resolve) => process.once('SIGINT', resolve));
}

// At their end they send what is left.
await prometheus?.stop();
await stopAll();
console.log(`the collector has spans of ${[...collector.spans.keys()].sort().join(', ')}`);
if (trace !== undefined) console.log(`the collector has that trace: ${collector.traces.has(trace)}`);
const measured = [...collector.metrics].filter(([, metrics]) => metrics.has('keelson.edge.calls'));
const senders = measured.map(([name]) => name).sort();
console.log(`the collector has the metric keelson.edge.calls of ${senders.join(', ')}`);
collector.close();
