import http from 'node:http';
import { type MetricsText, metricsHandler } from '../otel/metrics-handler.js';
import { leaveUntraced } from './untraced.js';

/** Where metrics are served. */
export interface MetricsPlace {
  readonly host: string;
  readonly port: number;
}

/** A server that a process has besides its own. */
export interface MetricsServer {
  close(): void;
}

/**
 * Serves the metrics of a process at `/metrics`, on a port of their own. Does not hold the process; where the port is taken,
 * by another process of the same program for example, it says so and the program goes on. The workers of a cluster do not
 * share it either: each scrape would meet another one.
 */
export function serveMetrics(
  source: MetricsText,
  { host, port }: MetricsPlace,
  warn: (message: string) => void,
): MetricsServer {
  const answer = metricsHandler(source);
  const server = leaveUntraced(
    http.createServer((req, res) => {
      if (req.url?.split('?')[0] === '/metrics') answer(req, res);
      else res.writeHead(404).end();
    }),
  );
  server.on('connection', (socket) => socket.unref());
  server.on('error', (error: NodeJS.ErrnoException) => {
    const taken =
      error.code === 'EADDRINUSE' ? '; each process needs a port of its own, or pushes them by OTLP' : '';
    warn(`metrics cannot be served at ${host}:${port}: ${error.message}${taken}`);
  });
  server.listen({ port, host, exclusive: true });
  server.unref();
  return {
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
