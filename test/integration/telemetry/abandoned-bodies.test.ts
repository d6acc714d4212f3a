import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { metrics } from '@opentelemetry/api';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { createApp } from 'keelson';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { tracingSdk } from '../../doubles/tracing-sdk.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const server = http.createServer((_, res) => res.end('a body that nobody reads'));
const sdk = tracingSdk();
beforeAll(() => {
  metrics.setGlobalMeterProvider(new MeterProvider());
  return new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  metrics.disable();
  await sdk.stop();
  server.closeAllConnections();
  server.close();
});

it('bodies that nobody reads are found although spans and metrics wait for their end', async () => {
  const { port } = server.address() as AddressInfo;
  const app = createApp({ service: 'orders', endpoints: { users: [`http://127.0.0.1:${port}`] } });
  const users = app.fetch('users');
  await (async () => {
    for (let i = 0; i < 10; i++) expect((await users('/')).ok).toBe(true);
  })();
  await vi.waitFor(() => {
    collect();
    expect(app.snapshot()[0]?.endpoints[0]?.inflight).toBe(0);
  }, 10_000);
  await vi.waitFor(() => {
    const spans = sdk.ofKind('CLIENT');
    expect(spans.map(({ attributes }) => attributes['http.response.status_code'])).toEqual(
      Array(10).fill(200),
    );
  });
  await app.stop();
});
