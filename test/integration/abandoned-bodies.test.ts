import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createApp, type FetchClientOptions } from 'keelson';
import { abandonedBodies } from 'keelson/http';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const server = http.createServer((_, res) => res.end('a body that nobody reads'));
beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const lasting = new AbortController();
const signals = {
  none: () => undefined,
  'of the call': () => ({ signal: new AbortController().signal }),
  'that lives on': () => ({ signal: lasting.signal }),
};
const policies: Record<string, FetchClientOptions> = {
  'the defaults': {},
  'a timeout per try': { perTryTimeoutMs: 5000 },
  hedges: { hedge: { delayMs: 5000 } },
  'an idle timeout of bodies': { bodyIdleTimeoutMs: 5000 },
  everything: { perTryTimeoutMs: 5000, hedge: { delayMs: 5000 }, bodyIdleTimeoutMs: 5000 },
};

describe('bodies that nobody reads are found by the garbage collector', () => {
  const cases = Object.entries(policies).flatMap(([policy, options]) =>
    Object.entries(signals).map(([signal, init]) => ({ policy, options, signal, init })),
  );
  it.each(cases)('with $policy, signal: $signal', async ({ options, init }) => {
    const { port } = server.address() as AddressInfo;
    const app = createApp({ service: 'orders', endpoints: { users: [`http://127.0.0.1:${port}`] } });
    const users = app.fetch('users', options);
    const before = abandonedBodies();
    await (async () => {
      for (let i = 0; i < 10; i++) expect((await users('/', init())).ok).toBe(true);
    })();
    await vi.waitFor(() => {
      collect();
      expect(app.snapshot()[0]?.endpoints[0]?.inflight).toBe(0);
    }, 10_000);
    expect(abandonedBodies() - before).toBe(10);
    await app.stop();
  });
});

describe('the connection of a body that nobody reads any more is let go', () => {
  const touch: Record<string, (response: Response) => unknown> = {
    'not touched': () => undefined,
    'looked at': ({ body }) => body,
    'read in part': ({ body }) => body?.getReader().read(),
    copied: (response) => response.clone().body,
  };
  it.each(Object.entries(touch))('%s', async (_, how) => {
    let closed = 0;
    const endless = http.createServer((_req, res) => {
      res.on('close', () => closed++);
      res.write(Buffer.alloc(5_000_000));
    });
    await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve));
    const { port } = endless.address() as AddressInfo;
    const app = createApp({ service: 'orders', endpoints: { users: [`http://127.0.0.1:${port}`] } });
    const users = app.fetch('users');
    await (async () => {
      await how(await users('/'));
    })();
    await vi.waitFor(() => {
      collect();
      expect([app.snapshot()[0]?.endpoints[0]?.inflight, closed]).toEqual([0, 1]);
    }, 10_000);
    endless.close();
    await app.stop();
  });
});
