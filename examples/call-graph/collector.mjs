// Stands in for a collector of OpenTelemetry: takes OTLP as JSON over HTTP, and remembers which services sent what.
import { once } from 'node:events';
import http from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';

const serviceOf = ({ resource }) =>
  resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue;

export async function startCollector() {
  const spans = new Map();
  const traces = new Set();
  const metrics = new Map();
  const note = ({ resourceSpans = [], resourceMetrics = [] }) => {
    for (const of of resourceSpans) {
      const sent = of.scopeSpans.flatMap((scope) => scope.spans);
      spans.set(serviceOf(of), (spans.get(serviceOf(of)) ?? 0) + sent.length);
      for (const { traceId } of sent) traces.add(traceId);
    }
    for (const of of resourceMetrics) {
      const names = of.scopeMetrics.flatMap((scope) => scope.metrics.map(({ name }) => name));
      metrics.set(serviceOf(of), new Set([...(metrics.get(serviceOf(of)) ?? []), ...names]));
    }
  };
  const server = http.createServer(async (req, res) => {
    const body = await buffer(req);
    const text = req.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;
    note(JSON.parse(text.toString()));
    res.setHeader('content-type', 'application/json').end('{}');
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = /** @type {any} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    traces,
    metrics,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
