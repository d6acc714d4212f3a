import http from 'node:http';
import { type App, createApp, type Edge, type GovernedFetch, memory } from 'keelson';
import { afterEach, describe, expect, it, vi } from 'vitest';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** One call as whoever made it saw it, written down without any help of keelson. */
interface Hop {
  readonly from: string;
  readonly to: string;
  readonly operation: string;
  readonly failed: boolean;
}

const names = ['api1', 'api2', 'api3', 'api4', 'api5'] as const;
type Name = (typeof names)[number];
const routes = ['/chain/:id', '/fan/:id', '/leaf/:id'];

/** Five services: a chain through all of them, and a fan-out from the first. api3 is slow, and each seventh call of api5 fails. */
class Graph {
  readonly apps = new Map<Name, App>();
  private readonly clients = new Map<string, GovernedFetch>();
  private readonly registry = memory();
  url = '';

  async start(): Promise<void> {
    for (const name of names) {
      const app = createApp({ service: name, registry: this.registry, signals: false, drainPauseMs: 0 });
      closers.push(() => app.stop());
      const handler = (req: http.IncomingMessage, res: http.ServerResponse) => this.answer(name, req, res);
      const server = http.createServer(app.listener(handler, { routes, queue: false }));
      const { url } = await app.serve(server, { host: '127.0.0.1' });
      this.apps.set(name, app);
      if (name === 'api1') this.url = url;
    }
  }

  private async answer(name: Name, req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
    const [, route = '', id = ''] = (req.url ?? '').split('/');
    const next = names.slice(names.indexOf(name) + 1);
    const targets = route === 'chain' ? next.slice(0, 1) : route === 'fan' ? next : [];
    const inner = route === 'chain' ? 'chain' : 'leaf';
    if (name === 'api3') await new Promise((resolve) => setTimeout(resolve, 3));
    const hops = await Promise.all(targets.map((to) => this.hop(name, to, `${inner}/${id}`)));
    res.statusCode = name === 'api5' && Number(id) % 7 === 0 ? 503 : 200;
    res.end(JSON.stringify(hops.flat()));
  }

  private async hop(from: Name, to: Name, path: string): Promise<Hop[]> {
    const operation = `GET /${path.split('/')[0]}/:id`;
    try {
      const response = await this.clientOf(from, to)(`/${path}`);
      const further = (await response.json()) as Hop[];
      return [{ from, to, operation, failed: response.status >= 500 }, ...further];
    } catch {
      return [{ from, to, operation, failed: true }];
    }
  }

  private clientOf(from: Name, to: Name): GovernedFetch {
    const key = `${from} ${to}`;
    const known =
      this.clients.get(key) ?? (this.apps.get(from) as App).fetch(to, { routes, timeoutMs: 60_000 });
    this.clients.set(key, known);
    return known;
  }

  edges(side: Edge['side']): Edge[] {
    return [...this.apps.values()].flatMap((app) => app.edges('total').filter((edge) => edge.side === side));
  }
}

/** Asks for so many chains and fan-outs, ten at a time, and logs each call that this caused. */
async function load(url: string, requests: number): Promise<Hop[]> {
  const log: Hop[] = [];
  let id = 0;
  const worker = async (): Promise<void> => {
    while (id < requests) {
      const mine = id++;
      const route = mine % 2 === 0 ? 'chain' : 'fan';
      const response = await fetch(`${url}/${route}/${mine}`);
      const hops = (await response.json()) as Hop[];
      log.push(
        { from: 'unknown', to: 'api1', operation: `GET /${route}/:id`, failed: !response.ok },
        ...hops,
      );
    }
  };
  await Promise.all(Array.from({ length: 10 }, worker));
  return log;
}

const keyOf = (edge: { caller: string; callee: string; operation: string }) =>
  `${edge.caller} > ${edge.callee} ${edge.operation}`;

function counted(log: readonly Hop[]): Map<string, { count: number; errors: number }> {
  const edges = new Map<string, { count: number; errors: number }>();
  for (const { from, to, operation, failed } of log) {
    const key = keyOf({ caller: from, callee: to, operation });
    const edge = edges.get(key) ?? { count: 0, errors: 0 };
    edges.set(key, { count: edge.count + 1, errors: edge.errors + (failed ? 1 : 0) });
  }
  return edges;
}

const told = (edges: readonly Edge[]) =>
  new Map(edges.map((edge) => [keyOf(edge), { count: edge.count, errors: edge.errors }]));

describe('five services in a chain and a fan-out', () => {
  it('report exactly the edges that the load generator has logged', async () => {
    const graph = new Graph();
    await graph.start();
    const log = await load(graph.url, 42);
    const expected = counted(log);
    const fromOutside = [...expected].filter(([key]) => key.startsWith('unknown'));
    const between = [...expected].filter(([key]) => !key.startsWith('unknown'));
    expect(between.length).toBe(8);
    expect(log.some(({ failed }) => failed)).toBe(true);

    expect(told(graph.edges('client'))).toEqual(new Map(between));
    // Servers saw each try of these calls.
    const tries = graph.edges('client').map((edge) => [keyOf(edge), edge.tries] as const);
    const served = (): unknown => new Map(graph.edges('server').map((edge) => [keyOf(edge), edge.count]));
    const outside = fromOutside.map(([key, { count }]) => [key, count] as const);
    await vi.waitFor(() => expect(served()).toEqual(new Map([...tries, ...outside])));
  }, 120_000);
});

describe('one side alone', () => {
  const appOf = (options: Partial<Parameters<typeof createApp>[0]>) => {
    const app = createApp({ service: 'orders', signals: false, drainPauseMs: 0, ...options });
    closers.push(() => app.stop());
    return app;
  };
  const listening = async (listener: http.RequestListener): Promise<string> => {
    const server = http.createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  };

  it('a client knows its edges to a server that knows nothing of keelson', async () => {
    const url = await listening((req, res) => {
      res.statusCode = req.url === '/missing' ? 404 : 200;
      res.end('hello');
    });
    const app = appOf({ endpoints: { legacy: [url] }, edges: { bytes: true } });
    const legacy = app.fetch('legacy', { routes: ['/greetings/:id'] });
    for (const path of ['/greetings/1', '/greetings/2', '/missing']) await (await legacy(path)).text();
    expect(app.edges('total')).toMatchObject([
      {
        side: 'client',
        caller: 'orders',
        callee: 'legacy',
        operation: 'GET /greetings/:id',
        count: 2,
        errors: 0,
      },
      { side: 'client', callee: 'legacy', operation: 'GET', count: 1, errors: 0 },
    ]);
    expect(app.edges('total')[0]).toMatchObject({ requestBytes: 0 });
  });

  it('a client knows that nobody is there', async () => {
    const url = await listening(() => undefined);
    await closers.pop()?.();
    const app = appOf({ endpoints: { gone: [url] } });
    await app
      .fetch('gone', { retry: false })('/')
      .catch(() => undefined);
    const [edge] = app.edges('total');
    expect(edge).toMatchObject({ count: 1, errors: 1 });
    expect(edge?.ends).toEqual([{ outcome: 'failure', flag: 'UF', count: 1 }]);
  });

  it('a server knows callers that name themselves, if it trusts them, and counts the others together', async () => {
    const app = appOf({ edges: { bytes: true } });
    const strict = appOf({ service: 'strict' });
    const handler: http.RequestListener = (_req, res) => res.end('hello');
    const open = await listening(app.listener(handler));
    const closed = await listening(strict.listener(handler, { trust: false }));
    for (const url of [open, closed]) {
      await (await fetch(url, { headers: { 'x-md-service-name': 'web' } })).text();
      await (await fetch(url, { headers: { 'x-md-service-name': '<script>' } })).text();
      await (await fetch(url)).text();
    }
    const callers = (of: App) => of.edges('total').map(({ caller, count }) => [caller, count]);
    await vi.waitFor(() => {
      expect(new Map(callers(app) as [string, number][])).toEqual(
        new Map([
          ['web', 1],
          ['unknown', 2],
        ]),
      );
      expect(callers(strict)).toEqual([['unknown', 3]]);
    });
    expect(app.edges('total')[0]).toMatchObject({ side: 'server', callee: 'orders', operation: 'GET' });
  });

  it('counts nothing with edges: false', async () => {
    const url = await listening((_req, res) => res.end('hello'));
    const app = appOf({ endpoints: { legacy: [url] }, edges: false });
    await (await app.fetch('legacy')('/')).text();
    app.sent({ destination: 'mails' });
    expect(app.edges('total')).toEqual([]);
  });

  it('messages lead from their sender to whoever processes them', () => {
    const orders = appOf({});
    const billing = appOf({ service: 'billing' });
    orders.sent({ destination: 'invoices' });
    const token = {
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      'x-md-service-name': 'orders',
    };
    billing.processed({ destination: 'invoices', token, durationMs: 12 });
    for (const broken of [undefined, null, 7, 'x', { 'x-md-service-name': 7 }])
      billing.processed({ destination: 'invoices', token: broken });
    expect(orders.edges('current')).toMatchObject([
      { side: 'producer', caller: 'orders', destination: 'invoices' },
    ]);
    expect(billing.edges('current')).toMatchObject([
      { side: 'consumer', caller: 'orders', callee: 'billing', destination: 'invoices', count: 1 },
      { side: 'consumer', caller: 'unknown', callee: 'billing', destination: 'invoices', count: 5 },
    ]);
  });
});
