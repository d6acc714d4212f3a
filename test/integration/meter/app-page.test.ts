import http from 'node:http';
import { context, metrics, propagation, trace } from '@opentelemetry/api';
import { type App, createApp, memory } from 'keelson';
import { concurrency } from 'keelson/limiter';
import { telemetry } from 'keelson/otel';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { complaintsAbout, hasPrometheus } from '../../doubles/prometheus-server.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  for (const api of [trace, metrics, propagation, context]) api.disable();
});

describe.skipIf(!hasPrometheus)('promtool check metrics', () => {
  it('passes on the page of an app with all that it shows', async () => {
    const t = telemetry({ service: 'orders', metrics: true });
    closers.push(() => t.shutdown());
    const registry = memory();
    const common = { registry, signals: false, drainPauseMs: 0, edges: { windowMs: 100 } } as const;
    const appOf = (options: Parameters<typeof createApp>[0]): App => {
      const app = createApp({ ...common, ...options });
      closers.push(() => app.stop());
      return app;
    };
    const users = appOf({ service: 'users' });
    const limits = [concurrency({ limit: 50 })];
    const server = http.createServer(
      users.listener((_req, res) => res.end('Ada'), { routes: ['/users/:id'], limits, queue: {} }),
    );
    await users.serve(server, { host: '127.0.0.1' });
    const orders = appOf({ service: 'orders', endpointMetrics: true, client: { hedge: { delayMs: 5000 } } });
    const fetchUsers = orders.fetch('users', { routes: ['/users/:id'] });
    orders.sent({ destination: 'mails "all"\\' });
    let page = '';
    // Quantiles are those of the last whole window: it takes a call in one, and another in the next.
    await vi.waitFor(
      async () => {
        await (await fetchUsers('/users/7')).text();
        page = (await t.metricsText()).body;
        expect(page).toMatch(/keelson_edge_duration_seconds\{[^}]*keelson_quantile="0.95"/);
      },
      { timeout: 20_000, interval: 20 },
    );
    for (const name of [
      'http_client_request_duration_seconds_bucket',
      'http_server_request_duration_seconds_bucket',
      'keelson_edge_calls_total',
      'keelson_breaker_endpoints',
      'keelson_endpoint_load',
      'keelson_endpoints',
      'keelson_instances',
      'keelson_limiter_inflight',
      'keelson_retry_withdrawn_total',
      'keelson_server_backlog',
      'nodejs_eventloop_utilization',
    ])
      expect([name, page.includes(`\n${name}`)]).toEqual([name, true]);
    expect(complaintsAbout(page)).toBe('');
  });
});
