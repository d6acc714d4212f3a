import { context, metrics, propagation, trace } from '@opentelemetry/api';
import { type App, createApp } from 'keelson';
import { telemetry } from 'keelson/otel';
import { afterEach, expect, it, vi } from 'vitest';
import { metricsSdk } from '../../doubles/metrics-sdk.js';
import { ScriptedCollector } from '../../doubles/scripted-collector.js';
import { listening } from '../../doubles/traced-services.js';

// A metric that is read is gone with what shows it: what happened since the last push would never leave.

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  for (const api of [trace, metrics, propagation, context]) api.disable();
});

async function called(options: Partial<Parameters<typeof createApp>[0]>): Promise<App> {
  const users = await listening((_, response) => response.end('Ada'));
  closers.push(() => users.close());
  const app = createApp({
    service: 'shop',
    endpoints: { users: [users.url] },
    signals: false,
    drainPauseMs: 0,
    ...options,
  });
  await (await app.fetch('users', { routes: ['/users/:id'] })('/users/7')).text();
  return app;
}

it('the edges since the last push leave when the app stops, by the telemetry that it was given', async () => {
  const collector = await new ScriptedCollector().start();
  closers.push(() => collector.stop());
  const pipeline = telemetry({ service: 'shop', endpoint: collector.url, protocol: 'http/json' });
  const app = await called({ telemetry: pipeline });
  expect(collector.metrics).toEqual([]);
  await app.stop();
  const sent = collector.metrics.map(({ name }) => name);
  expect(sent).toEqual(
    expect.arrayContaining(['keelson.edge.calls', 'keelson.endpoints', 'process.memory.usage']),
  );
});

it('and by an SDK that is shut down in afterStop', async () => {
  const sdk = metricsSdk();
  sdk.register();
  closers.push(() => sdk.stop());
  const seen = vi.fn();
  const app = await called({ hooks: { afterStop: async () => seen([...(await sdk.collect()).keys()]) } });
  await app.stop();
  expect(seen.mock.lastCall?.[0]).toEqual(
    expect.arrayContaining(['keelson.edge.calls', 'keelson.endpoints']),
  );
});

it('nothing is shown from then on', async () => {
  const sdk = metricsSdk('DELTA');
  sdk.register();
  closers.push(() => sdk.stop());
  await (await called({})).stop();
  await sdk.collect();
  expect(await sdk.points('keelson.edge.calls')).toEqual([]);
  expect(await sdk.points('keelson.endpoints')).toEqual([]);
});
