// Makes spans of ten attributes at a given rate, and tells what that took. Started with ours.mjs or stock.cjs before it.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { SpanKind, trace } from '@opentelemetry/api';

const telemetry = /** @type {any} */ (globalThis).benchTelemetry;
const tracer = trace.getTracer('bench');
let made = 0;
let top = 0;
const delays = monitorEventLoopDelay({ resolution: 5 });
delays.enable();

function make() {
  const span = tracer.startSpan('GET /users/:id', { kind: SpanKind.SERVER });
  const n = made++;
  span.setAttributes({
    'http.request.method': 'GET',
    'http.route': '/users/:id',
    'url.path': `/users/${n}`,
    'url.scheme': 'http',
    'server.address': 'users',
    'server.port': 8080,
    'client.address': `10.0.${(n >> 8) & 255}.${n & 255}`,
    'user_agent.original': 'bench/1.0',
    'network.protocol.version': '1.1',
    'http.response.status_code': 200,
  });
  span.end();
}

/** @type {NodeJS.Timeout | undefined} */
let timer;

/** @param {number} perSecond */
function start(perSecond) {
  const from = performance.now();
  const before = made;
  timer = setInterval(() => {
    const due = before + ((performance.now() - from) / 1000) * perSecond;
    while (made < due) make();
    top = Math.max(top, process.memoryUsage.rss());
  }, 10);
}

/** Settles in any case: an SDK rejects when its collector is away. @param {'flush' | 'shutdown'} what */
async function timed(what) {
  const from = performance.now();
  await Promise.resolve(telemetry[what]()).catch(() => undefined);
  return performance.now() - from;
}

process.on('message', async (/** @type {{ ask: string, perSecond?: number }} */ { ask, perSecond = 0 }) => {
  let ms = 0;
  if (ask === 'start') start(perSecond);
  if (ask === 'stop') clearInterval(timer);
  if (ask === 'delays') delays.reset();
  if (ask === 'flush' || ask === 'shutdown') ms = await timed(ask);
  const { user, system } = process.cpuUsage();
  process.send?.({
    made,
    ms,
    cpuMs: (user + system) / 1000,
    residentBytes: process.memoryUsage.rss(),
    topBytes: top,
    delayMs: { p99: delays.percentile(99) / 1e6, max: delays.max / 1e6 },
    losses: telemetry.losses?.() ?? {},
  });
});
process.on('disconnect', () => process.exit());
process.send?.({});
