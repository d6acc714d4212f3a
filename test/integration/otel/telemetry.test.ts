import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { context, metrics, propagation, trace } from '@opentelemetry/api';
import { createApp } from 'keelson';
import { telemetry } from 'keelson/otel';
import { afterEach, describe, expect, it } from 'vitest';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';

let collector: ScriptedCollector | undefined;
afterEach(async () => {
  for (const api of [trace, metrics, propagation, context]) api.disable();
  await collector?.stop();
});

function get(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    http
      .get(url, { agent: false }, (response) =>
        response.resume().on('end', () => resolve(response.statusCode)),
      )
      .on('error', reject);
  });
}

describe('a governed service with telemetry in code', () => {
  it('sends its spans and metrics to a collector, and what is left when the app stops', async () => {
    collector = await new ScriptedCollector().start();
    const t = telemetry({
      service: 'shop',
      endpoint: collector.url,
      protocol: 'http/json',
      headers: { 'api-key': 'secret' },
      sampling: { mode: 'always' },
    });
    const users = http.createServer((_, res) => res.end('{}'));
    await new Promise<void>((resolve) => users.listen(0, '127.0.0.1', resolve));
    const app = createApp({
      service: 'shop',
      endpoints: { users: [`http://127.0.0.1:${(users.address() as AddressInfo).port}`] },
      telemetry: t,
      drainPauseMs: 0,
    });
    const client = app.fetch('users', { retry: false });
    const server = http.createServer(
      app.listener(
        async (_, res) => {
          await (await client('/users/7')).text();
          res.end();
        },
        { routes: ['/orders/:id'] },
      ),
    );
    const { url } = await app.serve(server, { port: 0, host: '127.0.0.1' });
    expect(await get(`${url}/orders/1`)).toBe(200);
    expect(await t.metricsText()).toMatchObject({
      body: expect.stringContaining('http_server_request_duration_seconds'),
    });
    await app.stop();
    users.close();
    users.closeAllConnections();
    const [inbound] = collector.ofKind('SERVER');
    expect(inbound).toMatchObject({ name: 'GET /orders/:id', service: 'shop' });
    expect(collector.ofKind('CLIENT')).toMatchObject([{ parentSpanId: inbound?.spanId, service: 'shop' }]);
    expect(new Set(collector.requests.map(({ headers }) => headers['api-key']))).toEqual(new Set(['secret']));
    expect(JSON.stringify(collector.metrics)).toContain('http.client.request.duration');
    expect(t.losses()).toMatchObject({ shutdown: 0, queue_full: 0 });
    expect(t.traces).toBe('off');
  });

  it('an app takes only what can be shut down', () => {
    expect(() => createApp({ service: 'shop', telemetry: {} as never })).toThrow('createApp.telemetry');
  });

  it('a telemetry whose shutdown fails is a fault, and the app stops all the same', async () => {
    const telemetryOf = { shutdown: () => Promise.reject(new Error('no')) };
    const app = createApp({ service: 'shop', telemetry: telemetryOf, drainPauseMs: 0 });
    const faults: string[] = [];
    app.events.on('fault', ({ where }) => void faults.push(where));
    await app.stop();
    expect(app.state).toBe('stopped');
    expect(faults).toEqual(['telemetry']);
  });
});
