import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createApp, memory } from 'keelson';
import type { Balancer } from 'keelson/balancer';
import type { Endpoint } from 'keelson/core';
import type { Registration, ServiceInstance } from 'keelson/discovery';
import { tiedPolicyDefaults } from 'keelson/retry';
import type { FetchClientOptions } from 'keelson/stack';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type TiedReplica, tiedReplica } from '../doubles/tied-replica.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Picks the first that is not to be avoided, so that a test knows who gets which copy; counts leases. */
function inOrder(urls: readonly string[]) {
  let list: readonly Endpoint[] = [];
  const leases = { open: 0, outcomes: [] as string[] };
  const balancer: Balancer = {
    update: (endpoints) => {
      list = [...endpoints].sort((a, b) => urls.indexOf(a.url) - urls.indexOf(b.url));
    },
    pick: (_now, hint) => {
      const endpoint = list.find(({ id }) => !hint?.avoid?.has(id)) ?? list[0];
      if (endpoint === undefined) return null;
      leases.open++;
      let over = false;
      const release = (outcome: string): void => {
        if (over) throw new Error('released twice');
        over = true;
        leases.open--;
        leases.outcomes.push(outcome);
      };
      return { endpoint, reason: 'first', observe: () => undefined, release };
    },
  };
  return { balancer, leases };
}

const instanceAt = (id: string, url: string): ServiceInstance => ({
  id,
  service: 'users',
  hostname: id,
  addresses: [url],
  version: '',
  zone: '',
  env: '',
  region: '',
  weight: 100,
  status: 'up',
  metadata: {},
});

async function scene(
  options: FetchClientOptions = {},
  replicas: Parameters<typeof tiedReplica>[1][] = [{}, {}],
) {
  const all: TiedReplica[] = [];
  for (const [at, given] of replicas.entries()) {
    const one = await tiedReplica(['a', 'b', 'c'][at] as string, given);
    all.push(one);
    closers.push(() => one.close());
  }
  const urls = all.map(({ url }) => url);
  const { balancer, leases } = inOrder(urls);
  const registry = memory();
  const registered = new Map<string, Registration>();
  for (const { name, url } of all) registered.set(url, await registry.register(instanceAt(name, url)));
  const app = createApp({ service: 'shop', registry, signals: false });
  closers.push(() => app.stop());
  const fetch = app.fetch('users', {
    balancer,
    retry: false,
    gates: () => [],
    tracing: false,
    metrics: false,
    tied: { delayMs: 1 },
    ...options,
  });
  const [a, b] = all as [TiedReplica, TiedReplica];
  const send = async (path: string, init?: Parameters<typeof fetch>[1]) => (await fetch(path, init)).text();
  /** Lets the client learn that both tell of starts; the second gets its call because the first is out. */
  const learn = async () => {
    expect(await send('/learn')).toBe('a');
    urls.reverse();
    balancer.update(list(urls), 0);
    expect(await send('/learn')).toBe('b');
    urls.reverse();
    balancer.update(list(urls), 0);
    for (const one of all) one.ran.length = 0;
    leases.outcomes.length = 0;
  };
  const endpoints = app.snapshot().flatMap((client) => client.endpoints.map(({ endpoint }) => endpoint));
  const list = (order: readonly string[]) =>
    order.map((url) => endpoints.find((one) => one.url === url) as Endpoint);
  const leave = ({ url }: TiedReplica) => registered.get(url)?.deregister();
  const settled = () => vi.waitFor(() => expect(leases.open).toBe(0));
  return { app, a, b, send, fetch, learn, leases, settled, leave };
}

describe('tied requests over HTTP/1.1', () => {
  it('keeps the copy that starts first, takes the other back, and spares its connection', async () => {
    const { a, b, send, learn, leases, settled } = await scene();
    await learn();
    a.line.open = false;
    for (let round = 0; round < 5; round++) {
      expect(await send('/x')).toBe('b');
      await settled();
    }
    expect(a.line.length).toBe(0);
    expect(a.ran).toEqual([]);
    expect(b.ran).toHaveLength(5);
    expect(a.asked).toEqual(Array.from({ length: 5 }, () => 'withdraw'));
    expect(leases.outcomes.filter((one) => one === 'ignored')).toHaveLength(5);
    // One for calls and one for questions; none was cut.
    expect([a.opened, a.sockets.size]).toEqual([2, 2]);
  });

  it('sends one copy to a server that starts at once', async () => {
    const { a, b, send, learn, settled } = await scene({ tied: { delayMs: 500 } });
    await learn();
    for (let round = 0; round < 5; round++) expect(await send('/x')).toBe('a');
    expect([a.ran.length, b.ran.length, b.asked.length]).toEqual([5, 0, 0]);
    await settled();
  });

  it('sends no second copy when the first has started, however long it takes', async () => {
    const { a, b, send, learn, settled } = await scene({ tied: { delayMs: 150 } });
    await learn();
    let go = (): void => undefined;
    a.hold(
      new Promise((resolve) => {
        go = resolve;
      }),
    );
    const running = send('/x');
    await vi.waitFor(() => expect(a.ran).toHaveLength(1));
    await new Promise((resolve) => setTimeout(resolve, 250));
    go();
    expect(await running).toBe('a');
    expect(b.ran).toEqual([]);
    await settled();
  });

  it('takes the second copy back when the first starts after all', async () => {
    const { a, b, send, learn, settled } = await scene();
    await learn();
    a.line.open = false;
    b.line.open = false;
    const running = send('/x');
    await vi.waitFor(() => expect([a.line.length, b.line.length]).toEqual([1, 1]));
    a.line.step();
    expect(await running).toBe('a');
    await vi.waitFor(() => expect(b.line.length).toBe(0));
    expect(b.ran).toEqual([]);
    await settled();
  });

  it('cancels both when the caller gives up', async () => {
    const { a, b, fetch, learn, settled } = await scene();
    await learn();
    a.line.open = false;
    b.line.open = false;
    const controller = new AbortController();
    const running = fetch('/x', { signal: controller.signal });
    await vi.waitFor(() => expect([a.line.length, b.line.length]).toEqual([1, 1]));
    controller.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    await vi.waitFor(() => expect([a.line.length, b.line.length]).toEqual([0, 0]));
    expect([a.ran, b.ran]).toEqual([[], []]);
    await settled();
  });

  it('falls to the retry when the winner dies after it started', async () => {
    const { a, b, send, learn, settled } = await scene({ retry: { baseMs: 0 } });
    await learn();
    a.line.open = false;
    b.break();
    const running = send('/x');
    await vi.waitFor(() => expect(b.ran).toHaveLength(1));
    // Both have had a try, so the next may go to either.
    a.line.open = true;
    a.line.step();
    expect(await running).toMatch(/^[ab]$/);
    await settled();
  });

  it('lets the second copy of a POST start only when the first was taken back', async () => {
    const { a, b, send, learn, leases, settled } = await scene();
    await learn();
    a.line.open = false;
    expect(await send('/x?n=1', { method: 'POST', body: 'order' })).toBe('b');
    await vi.waitFor(() => expect(a.line.length).toBe(0));
    expect([a.ran, b.ran]).toEqual([[], ['POST /x?n=1']]);
    expect(a.asked).toEqual(['withdraw']);
    expect(b.asked).toEqual(['/.well-known/keelson/tied/claim/x?n=1', 'grant']);
    await settled();
    expect(leases.outcomes.sort()).toEqual(['ignored', 'success']);
  });

  it('never runs both copies of a POST when both come to their turn at once', async () => {
    const { a, b, send, learn, settled } = await scene();
    await learn();
    for (let round = 0; round < 20; round++) {
      a.line.open = false;
      b.line.open = false;
      a.ran.length = 0;
      b.ran.length = 0;
      const running = send('/x', { method: 'POST', body: 'order' });
      await vi.waitFor(() => expect([a.line.length, b.line.length]).toEqual([1, 1]), { interval: 1 });
      b.line.step();
      a.line.step();
      expect(await running).toMatch(/^[ab]$/);
      await vi.waitFor(() => expect([a.line.length, b.line.length]).toEqual([0, 0]));
      await settled();
      expect(a.ran.length + b.ran.length).toBe(1);
    }
  });

  it('leaves a POST alone beside a server that is not known to let it wait', async () => {
    const { a, b, send, settled } = await scene({}, [{}, { tied: false }]);
    expect(await send('/learn')).toBe('a');
    a.line.open = false;
    const running = send('/x', { method: 'POST', body: 'order' });
    await vi.waitFor(() => expect(a.line.length).toBe(1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    a.line.step();
    expect(await running).toBe('a');
    expect(b.ran).toEqual([]);
    await settled();
  });

  it('never copies a stream', async () => {
    const { a, b, send, learn, settled } = await scene();
    await learn();
    a.line.open = false;
    const body = new Blob(['order']).stream();
    const running = send('/x', { method: 'PUT', body, duplex: 'half' } as RequestInit);
    await vi.waitFor(() => expect(a.line.length).toBe(1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    a.line.step();
    expect(await running).toBe('a');
    expect(b.ran).toEqual([]);
    await settled();
  });

  it.each([
    ['by call', { keelson: { tied: false } }],
    ['by call, with hedges', { keelson: { hedge: false } }],
  ])('is left out where it is not wanted: %s', async (_name, init) => {
    const { a, b, send, learn, settled } = await scene();
    await learn();
    a.line.open = false;
    const running = send('/x', init);
    await vi.waitFor(() => expect(a.line.length).toBe(1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    a.line.step();
    expect(await running).toBe('a');
    expect(b.ran).toEqual([]);
    await settled();
  });

  it('sends no copies beside a server that is idle most of the time', async () => {
    const load = `backlog=20, service=5, rate=${(1000 / 5) * tiedPolicyDefaults.minLoadRatio - 1}`;
    const { a, b, send, learn, settled } = await scene({}, [{ load }, { load }]);
    await learn();
    a.line.open = false;
    const running = send('/x');
    await vi.waitFor(() => expect(a.line.length).toBe(1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    a.line.step();
    expect(await running).toBe('a');
    expect(b.ran).toEqual([]);
    await settled();
  });

  it('lets an endpoint go whose copy was taken back after it had left', async () => {
    const { a, b, send, learn, settled, leave } = await scene();
    await learn();
    a.line.open = false;
    b.line.open = false;
    const running = send('/x');
    await vi.waitFor(() => expect([a.line.length, b.line.length]).toEqual([1, 1]));
    await leave(a);
    b.line.step();
    expect(await running).toBe('b');
    await settled();
    expect(a.ran).toEqual([]);
    await vi.waitFor(() => expect(a.sockets.size).toBe(0));
  });

  it('takes a flood of notices for one', async () => {
    const flood = http.createServer((req, res) => {
      for (let n = 0; n < 1000; n++) res.writeProcessing();
      res.setHeader('x-keelson-load', 'backlog=50, service=5, rate=150');
      res.end(req.url);
    });
    await new Promise<void>((resolve) => flood.listen(0, '127.0.0.1', resolve));
    closers.push(() => new Promise((resolve) => flood.close(resolve)));
    closers.push(() => flood.closeAllConnections());
    const url = `http://127.0.0.1:${(flood.address() as AddressInfo).port}`;
    const app = createApp({ service: 'shop', endpoints: { users: [url] }, signals: false });
    closers.push(() => app.stop());
    const fetch = app.fetch('users', { retry: false, tied: { delayMs: 1 } });
    for (let round = 0; round < 3; round++) expect(await (await fetch(`/${round}`)).text()).toBe(`/${round}`);
  });

  it('tells of a start over HTTP/2 too, to clients that can hear of it', async () => {
    const { a } = await scene();
    const server = http2.createServer(a.listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => new Promise((resolve) => server.close(resolve)));
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    closers.push(() => client.close());
    const stream = client.request({
      ':path': '/h2',
      'x-keelson-tied': 'id=0b7e3f52-9d1c-4c55-8a41-5f2f3b7a9c01; copy=1; mode=free',
    });
    const statuses: unknown[] = [];
    stream.on('headers', (headers) => statuses.push(headers[':status']));
    stream.on('response', (headers) => statuses.push(headers[':status']));
    stream.resume();
    await new Promise((resolve) => stream.once('close', resolve));
    expect(statuses).toEqual([102, 200]);
  });
});
