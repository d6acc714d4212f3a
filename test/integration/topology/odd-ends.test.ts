import http from 'node:http';
import { metrics } from '@opentelemetry/api';
import {
  type App,
  type AppListenerOptions,
  createApp,
  type Edge,
  type FetchClientOptions,
  type GovernedFetch,
  type HttpHandler,
  memory,
} from 'keelson';
import type { EarlyRefuser, Gate, Permit } from 'keelson/core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type MetricsSdk, metricsSdk } from '../../doubles/metrics-sdk.js';

// Calls that end in other ways than with an answer, counted from what their clients wrote down without any help of keelson.

let sdk: MetricsSdk;
const apps: App[] = [];
const servers: http.Server[] = [];
beforeEach(() => {
  sdk = metricsSdk();
  sdk.register();
});
afterEach(async () => {
  for (const server of servers.splice(0)) server.closeAllConnections();
  for (const app of apps.splice(0).reverse()) await app.stop();
  metrics.disable();
  await sdk.stop();
});

type How = 'served' | 'shed' | 'broken' | 'aborted';
/** One call as its client saw it. */
interface Entry {
  readonly operation: string;
  readonly how: How;
}

interface Pair {
  readonly web: App;
  /** The callee, one or two replicas of it. */
  readonly shop: readonly App[];
  readonly fetch: GovernedFetch;
  readonly log: Entry[];
  /** What the server's own handler was asked, one entry for each request. */
  readonly served: string[];
  /** Makes one call and writes down how it ended. */
  call(path: string, init?: RequestInit): Promise<void>;
}

const routes = ['/items/:id', '/orders/:id'];
const operationOf = (path: string): string => `GET /${path.split('/')[1]}/:id`;

interface Policies {
  readonly server?: AppListenerOptions;
  readonly client?: FetchClientOptions;
  /** Of the callee. */
  readonly replicas?: number;
}

async function pair(handler: HttpHandler, { server, client, replicas = 1 }: Policies = {}): Promise<Pair> {
  const registry = memory();
  const common = { registry, signals: false, drainPauseMs: 0 } as const;
  const web = createApp({ service: 'web', ...common });
  apps.push(web);
  const served: string[] = [];
  const noting: HttpHandler = (req, res, call) => {
    served.push(operationOf(req.url ?? ''));
    return handler(req, res, call);
  };
  const shop: App[] = [];
  for (let at = 0; at < replicas; at++) {
    const app = createApp({ service: 'shop', ...common });
    apps.unshift(app);
    shop.push(app);
    const listening = http.createServer(app.listener(noting, { routes, queue: false, ...server }));
    servers.push(listening);
    await app.serve(listening, { host: '127.0.0.1' });
  }
  const fetch = web.fetch('shop', { routes, retry: false, gates: () => [], timeoutMs: 60_000, ...client });
  const log: Entry[] = [];
  const call = async (path: string, init?: RequestInit): Promise<void> => {
    const operation = operationOf(path);
    let how: How = init?.signal ? 'aborted' : 'broken';
    try {
      const response = await fetch(path, init);
      how = response.status === 503 ? 'shed' : 'served';
      await response.text();
    } catch {
      // Its head had come, or not: so it stays.
    }
    log.push({ operation, how });
  };
  return { web, shop, fetch, log, served, call };
}

const tallied = (keys: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const key of [...keys].sort()) counts[key] = (counts[key] ?? 0) + 1;
  return counts;
};
const from = (app: readonly App[] | App, side: Edge['side']): readonly Edge[] =>
  [app].flat().flatMap((one: App) => one.edges('total').filter((edge) => edge.side === side));
/** `caller > callee operation outcome flag`, and how many. */
const ends = (edges: readonly Edge[]): Record<string, number> =>
  Object.fromEntries(
    edges
      .flatMap(({ caller, callee, operation, ends: all }) =>
        all.map(
          ({ outcome, flag, count }) =>
            [`${caller} > ${callee} ${operation} ${outcome} ${flag}`, count] as const,
        ),
      )
      .sort(),
  );
/** What the edges are to say, by how clients saw their calls end. */
const expected = (
  log: readonly Entry[],
  words: Readonly<Partial<Record<How, string>>>,
): Record<string, number> =>
  tallied(log.map(({ operation, how }) => `web > shop ${operation} ${words[how]}`));
const sumOf = (edges: readonly Edge[], field: 'count' | 'tries'): number =>
  edges.reduce((sum, edge) => sum + edge[field], 0);

const paths = (calls: number): string[] =>
  Array.from({ length: calls }, (_, at) => (at % 3 === 0 ? `/orders/${at}` : `/items/${at}`));

/** The far end counts a moment later. */
const patience = { timeout: 15_000 };
const permit: Permit = { observe: () => undefined, release: () => undefined };

describe('edges are exact', () => {
  it('for hedges: a call is one, each copy is a try, and the server has served them all', async () => {
    let asked = 0;
    // The first copy of every other call waits until its sender has gone.
    const { web, shop, log, served, call } = await pair(
      (_req, res) => (asked++ % 2 === 0 ? void res.once('close', () => undefined) : void res.end('hello')),
      { replicas: 2, client: { hedge: { delayMs: 5 }, retryBudget: { ratio: 1, minPerSecond: 10 } } },
    );
    for (const path of paths(12)) await call(path);
    expect(log.every(({ how }) => how === 'served')).toBe(true);
    expect(ends(from(web, 'client'))).toEqual(expected(log, { served: 'success -' }));
    expect(sumOf(from(web, 'client'), 'tries')).toBe(served.length);
    expect(served.length).toBeGreaterThan(log.length);
    await vi.waitFor(() => expect(sumOf(from(shop, 'server'), 'count')).toBe(served.length), patience);
    // Those that nobody needed any more were taken back, and are no errors.
    const lost = served.length - log.length;
    const ofServer = from(shop, 'server').flatMap((edge) => edge.ends);
    const taken = ofServer.filter(({ outcome, flag }) => outcome === 'ignored' && flag === 'DC');
    expect(taken.reduce((sum, { count }) => sum + count, 0)).toBe(lost);
  });

  it('for refusals', async () => {
    let asked = 0;
    const gate: Gate = { code: 'OVERLOADED', tryAcquire: () => (asked++ % 3 === 1 ? null : permit) };
    const { web, shop, log, served, call } = await pair((_req, res) => void res.end('hello'), {
      server: { limits: [gate] },
    });
    await Promise.all(paths(30).map((path) => call(path)));
    expect(tallied(log.map(({ how }) => how))).toEqual({ served: 20, shed: 10 });
    expect(served).toHaveLength(20);
    expect(ends(from(web, 'client'))).toEqual(expected(log, { served: 'success -', shed: 'overload -' }));
    await vi.waitFor(
      () =>
        expect(ends(from(shop, 'server'))).toEqual(expected(log, { served: 'success -', shed: 'unsent OM' })),
      patience,
    );
  });

  it('for early refusals, with their caller, also in the durations of the conventions', async () => {
    let asked = 0;
    const gate: Gate & EarlyRefuser = {
      code: 'OVERLOADED',
      tryAcquire: () => permit,
      refusing: true,
      refuseEarly: () => asked++ % 3 !== 0,
    };
    const { web, shop, log, served, call } = await pair((_req, res) => void res.end('hello'), {
      server: { limits: [gate] },
    });
    for (const path of paths(30)) await call(path);
    expect(tallied(log.map(({ how }) => how))).toEqual({ served: 10, shed: 20 });
    expect(served).toHaveLength(10);
    expect(ends(from(web, 'client'))).toEqual(expected(log, { served: 'success -', shed: 'overload -' }));
    expect(ends(from(shop, 'server'))).toEqual(expected(log, { served: 'success -', shed: 'unsent OM' }));
    const measured = new Map<string, number>();
    const expectedOf = tallied(
      log.map(({ operation, how }) => `web ${operation} ${how === 'shed' ? '503 503' : '200 undefined'}`),
    );
    await vi.waitFor(async () => {
      measured.clear();
      for (const { attributes, value } of await sdk.points('http.server.request.duration')) {
        const { 'service.peer.name': peer, 'http.request.method': method, 'http.route': route } = attributes;
        const { 'http.response.status_code': status, 'error.type': error } = attributes;
        measured.set(`${peer} ${method} ${route} ${status} ${error}`, (value as { count: number }).count);
      }
      expect(Object.fromEntries([...measured].sort())).toEqual(expectedOf);
    }, patience);
  });

  it('for answers that break off, before their head and after it', async () => {
    const { web, shop, log, served, call } = await pair((req, res) => {
      const id = Number(req.url?.split('/')[2]);
      if (id % 5 === 0) {
        res.destroy();
        return;
      }
      res.writeHead(200, { 'content-length': 100 });
      if (id % 5 === 1) res.write('half', () => res.destroy());
      else res.end('x'.repeat(100));
    });
    const heads: string[] = [];
    for (const path of paths(20)) {
      await call(path);
      // A call is measured to the head of its answer.
      if (Number(path.split('/')[2]) % 5 === 1) {
        const entry = log.pop() as Entry;
        expect(entry.how).toBe('served');
        heads.push(`web > shop ${entry.operation} success -`);
      }
    }
    expect(served).toHaveLength(20);
    const rest = expected(log, { served: 'success -', broken: 'failure UC' });
    const withHeads = { ...rest };
    for (const key of heads) withHeads[key] = (withHeads[key] ?? 0) + 1;
    expect(ends(from(web, 'client'))).toEqual(withHeads);
    await vi.waitFor(() => {
      const ofServer = ends(from(shop, 'server'));
      const asServer = Object.fromEntries(
        Object.entries(withHeads).map(([key, count]) => [key.replace('failure UC', 'failure -'), count]),
      );
      expect(ofServer).toEqual(asServer);
    }, patience);
  });

  it('for clients that give up', async () => {
    const { web, shop, log, served, call } = await pair((req, res) =>
      Number(req.url?.split('/')[2]) % 2 === 0 ? undefined : void res.end('hello'),
    );
    for (const path of paths(16)) {
      const gives = Number(path.split('/')[2]) % 2 === 0;
      const giveUp = new AbortController();
      const before = served.length;
      const done = call(path, gives ? { signal: giveUp.signal } : undefined);
      if (gives) {
        await vi.waitFor(() => expect(served).toHaveLength(before + 1), { ...patience, interval: 1 });
        giveUp.abort();
      }
      await done;
    }
    expect(tallied(log.map(({ how }) => how))).toEqual({ aborted: 8, served: 8 });
    const told = expected(log, { served: 'success -', aborted: 'ignored DC' });
    expect(ends(from(web, 'client'))).toEqual(told);
    expect(from(web, 'client').every(({ errors }) => errors === 0)).toBe(true);
    await vi.waitFor(() => expect(ends(from(shop, 'server'))).toEqual(told), patience);
    expect(from(shop, 'server').every(({ errors }) => errors === 0)).toBe(true);
  });
});
