import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import express4 from 'express4';
import { type AppListenerOptions, currentCall } from 'keelson';
import { type Call, GovernanceError } from 'keelson/core';
import { callOf, governErrors, governExpress } from 'keelson/express';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type GovernedApp, governedApp } from '../doubles/governed-app.js';
import { rawClient } from '../doubles/raw-client.js';

let governed: GovernedApp | undefined;
afterEach(async () => {
  await governed?.close();
  governed = undefined;
});

const mine = new RangeError('mine');

describe.each([
  ['4', express4],
  ['5', express],
] as const)('Express %s', (version, make) => {
  /** A governed shop, its routes written by the test. */
  async function shop(write: (shop: Express) => void, options: AppListenerOptions = {}) {
    governed = governedApp();
    const { app, record } = governed;
    const written = make();
    written.use(governExpress(app, { limits: [record.gate], queue: false, ...options }));
    write(written);
    return { ...governed, ...(await governed.listen(http.createServer(written))) };
  }

  /** What a request to one path is called at its end. */
  async function operationOf(write: (shop: Express, note: (req: Request) => void) => void, path: string) {
    const calls: (Call | undefined)[] = [];
    const { url, settled } = await shop((written) =>
      write(written, (req) => {
        calls.push(callOf(req));
      }),
    );
    const response = await fetch(url + path);
    await response.text();
    await settled([response.status >= 500 ? 'failure' : 'success']);
    return calls.map((call) => call?.operation);
  }

  describe('the operation', () => {
    const answer = (note: (req: Request) => void) => (req: Request, res: Response) => {
      note(req);
      res.end();
    };
    const routed = (note: (req: Request) => void) => {
      const router = make.Router();
      router.get('/orders/:id', answer(note));
      router.get('/', answer(note));
      return router;
    };
    const cases: Record<string, [(shop: Express, note: (req: Request) => void) => void, string, string]> = {
      'of a router': [(s, n) => s.use('/api', routed(n)), '/api/orders/7', 'GET /api/orders/:id'],
      'of the root of a router': [(s, n) => s.use('/api', routed(n)), '/api', 'GET /api'],
      'of the root': [(s, n) => s.get('/', answer(n)), '/', 'GET /'],
      'of a router that is mounted by a parameter': [
        (s, n) => s.use('/tenants/:tenant', routed(n)),
        '/tenants/acme/orders/7',
        'GET /tenants/:tenant/orders/:id',
      ],
      'of a parameter that is escaped': [
        (s, n) => s.use('/tenants/:tenant', routed(n)),
        '/tenants/a%20b/orders/7',
        'GET /tenants/:tenant/orders/:id',
      ],
      'of routers in routers': [
        (s, n) => {
          const tenants = make.Router();
          tenants.use('/:tenant/shop', routed(n));
          s.use('/v:version/tenants', tenants);
        },
        '/v2/tenants/acme/shop/orders/7',
        'GET /v:version/tenants/:tenant/shop/orders/:id',
      ],
      'of a sub-app': [
        (s, n) => {
          const sub = make();
          sub.get('/orders/:id', answer(n));
          s.use('/sub/:tenant', sub);
        },
        '/sub/acme/orders/7',
        'GET /sub/:tenant/orders/:id',
      ],
      'of a list of paths': [(s, n) => s.get(['/a', '/b'], answer(n)), '/b', 'GET /a,/b'],
      'of a regular expression': [
        (s, n) => s.get(/^\/things\/\d+$/, answer(n)),
        '/things/17',
        'GET /^\\/things\\/\\d+$/',
      ],
      'of the route that answers, not of one that passes': [
        (s, n) => {
          s.all('/users/:id', (_req, _res, next) => next());
          s.use('/users', (_req, _res, next) => next());
          s.get('/users/:name', answer(n));
        },
        '/users/7',
        'GET /users/:name',
      ],
      'without a route is the method': [(s, n) => s.use('/files', answer(n)), '/files/a/b', 'GET'],
    };
    it.each(Object.entries(cases))('%s', async (_, [write, path, operation]) => {
      expect(await operationOf(write, path)).toEqual([operation]);
    });

    it('of an error is that of its route, also when the router is left', async () => {
      const operations = await operationOf((s, note) => {
        const router = make.Router();
        router.get('/orders/:id', (req, _res, next) => {
          note(req);
          next(mine);
        });
        s.use('/tenants/:tenant', router);
        s.use((_error: unknown, _req: Request, res: Response, _next: NextFunction) => {
          res.status(500).end();
        });
      }, '/tenants/acme/orders/7');
      expect(operations).toEqual(['GET /tenants/:tenant/orders/:id']);
    });

    it('leaves baseUrl and route as Express makes them', async () => {
      const seen: unknown[] = [];
      const { url } = await shop((s) => {
        const router = make.Router();
        router.get('/orders/:id', (req, _res, next) => {
          seen.push(req.baseUrl, req.route.path, Object.keys(req).includes('baseUrl'));
          next();
        });
        s.use('/api', router);
        s.use((req, res) => {
          seen.push(req.baseUrl);
          res.end();
        });
      });
      await (await fetch(`${url}/api/orders/7`)).text();
      expect(seen).toEqual(['/api', '/orders/:id', true, '']);
    });

    it('does not depend on how a client writes the path', async () => {
      const names = new Set<string | undefined>();
      const { url } = await shop((s) => {
        const router = make.Router();
        router.get('/orders/:id', (req, res) => {
          names.add(callOf(req)?.operation);
          res.end();
        });
        s.use('/userProfiles', router);
      });
      for (const path of ['/userProfiles/orders/1', '/USERPROFILES/orders/2', '/userprofiles/ORDERS/3/'])
        expect((await fetch(url + path)).status).toBe(200);
      expect([...names]).toEqual(['GET /userProfiles/orders/:id']);
    });

    it('stays of low cardinality where routers are mounted by a regular expression', async () => {
      const names = new Set<string | undefined>();
      const { url } = await shop((s) => {
        const router = make.Router();
        router.get('/end', (req, res) => {
          names.add(callOf(req)?.operation);
          res.end();
        });
        s.use(/^\/any\d+/, router);
      });
      for (let at = 0; at < 100; at++) await (await fetch(`${url}/any${at}/end`)).text();
      expect(names.size).toBe(21);
      expect(names).toContain('GET /*/end');
    });
  });

  describe('errors', () => {
    it('that an error handler answers as the fault of the client are none of the server', async () => {
      const { url, faults, settled } = await shop((s) => {
        s.use(make.json());
        s.post('/', (_req, _res, next) => next(mine));
        s.use(governErrors());
        s.use((error: unknown, _req: Request, res: Response, next: NextFunction) => {
          if (error === mine) res.status(422).end();
          else next(error);
        });
      });
      const post = (body: string) =>
        fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      expect((await post('{}')).status).toBe(422);
      // The body parser's own.
      expect((await post('{')).status).toBe(400);
      await settled(['success', 'success']);
      expect(faults).toEqual([]);
    });

    it('have the status of a refusal without governErrors, and count by it', async () => {
      const { url, settled, faults } = await shop((s) => {
        s.get('/refused', (_req, _res, next) =>
          next(new GovernanceError('RATE_LIMITED', 'too often', { side: 'server', retryAfterMs: 3000 })),
        );
        s.get('/broken', () => {
          throw mine;
        });
      });
      const refused = await fetch(`${url}/refused`);
      await refused.text();
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '3']);
      const broken = await fetch(`${url}/broken`);
      await broken.text();
      expect(broken.status).toBe(500);
      await settled(['ignored', 'failure']);
      expect(faults).toEqual([]);
    });

    it('that come after the answer are told', async () => {
      const { url, faults } = await shop((s) => {
        s.get('/', (_req, res, next) => {
          res.end('done');
          next(mine);
        });
        s.use(governErrors());
      });
      expect(await fetch(url).then((response) => response.text())).toBe('done');
      await vi.waitFor(() => expect(faults.map(({ error }) => error)).toEqual([mine]));
    });

    it.runIf(version === '5')('of async handlers are told', async () => {
      const { url, faults, settled } = await shop((s) => {
        s.get('/users/:id', async () => {
          await Promise.resolve();
          throw mine;
        });
        s.use(governErrors());
      });
      const response = await fetch(`${url}/users/7`);
      await response.text();
      expect(response.status).toBe(500);
      await settled(['failure']);
      expect(faults).toMatchObject([{ where: 'handler of GET /users/:id', error: mine }]);
    });
  });

  it('the call is there behind several middlewares and parsers of bodies', async () => {
    const seen: unknown[] = [];
    const { url, settled } = await shop((s) => {
      s.use(make.json(), make.urlencoded({ extended: false }), make.text());
      s.use((_req, _res, next) => setImmediate(next));
      s.post('/', (req, res) => {
        const call = callOf(req);
        seen.push(call !== undefined && call === currentCall(), call?.headers.get('x-md-global-colour'));
        res.json(req.body);
      });
    });
    for (const type of ['application/json', 'application/x-www-form-urlencoded', 'text/plain']) {
      const headers = { 'content-type': type, 'x-md-global-colour': 'blue' };
      const response = await fetch(url, { method: 'POST', headers, body: '{"a":1}' });
      expect(response.status).toBe(200);
      await response.text();
    }
    expect(seen).toEqual([true, 'blue', true, 'blue', true, 'blue']);
    await settled(['success', 'success', 'success']);
  });

  it('parsers in callback style keep the call too', async () => {
    const seen: boolean[] = [];
    const { url } = await shop((s) => {
      // As multer: events of the request, and nobody who thinks of an AsyncLocalStorage.
      s.use((req, _res, next) => {
        req.on('data', () => undefined);
        req.on('end', () => next());
      });
      s.post('/', (req, res) => {
        seen.push(currentCall() === callOf(req) && currentCall() !== undefined);
        res.end();
      });
    });
    await (await fetch(url, { method: 'POST', body: 'x'.repeat(100_000) })).text();
    expect(seen).toEqual([true]);
  });

  it('sends files', async () => {
    const path = join(tmpdir(), `keelson-express${version}-${process.pid}.txt`);
    writeFileSync(path, 'x'.repeat(200_000));
    const { url, settled } = await shop((s) => {
      s.get('/file', (_req, res) => res.sendFile(path));
      s.get('/none', (_req, res) => res.sendFile(`${path}.none`));
    });
    const file = await fetch(`${url}/file`);
    expect([file.status, (await file.text()).length]).toEqual([200, 200_000]);
    const none = await fetch(`${url}/none`);
    await none.text();
    expect(none.status).toBe(404);
    await settled(['success', 'success']);
  });

  it('a stream of events is in flight until it ends', async () => {
    let end: () => void = () => undefined;
    const { url, record, settled } = await shop(
      (s) => {
        s.get('/events', (_req, res) => {
          res.setHeader('content-type', 'text/event-stream');
          res.write('data: 1\n\n');
          end = () => res.end('data: 2\n\n');
        });
      },
      { timeoutMs: 60_000 },
    );
    const response = await fetch(`${url}/events`);
    expect(record.inflight()).toBe(1);
    end();
    expect(await response.text()).toBe('data: 1\n\ndata: 2\n\n');
    await settled(['success']);
  });

  it('a response that is cut is a failure, and one that its client cuts is none', async () => {
    let started = 0;
    const { url, port, settled } = await shop((s) => {
      s.get('/cut', (_req, res) => {
        res.write('half');
        setImmediate(() => res.destroy());
      });
      s.get('/left', (_req, res) => {
        res.write('half');
        started++;
        res.once('close', () => res.destroy());
      });
    });
    await expect(fetch(`${url}/cut`).then((response) => response.text())).rejects.toThrow();
    await settled(['failure']);
    const raw = await rawClient(port);
    raw.socket.write('GET /left HTTP/1.1\r\nhost: test\r\n\r\n');
    await vi.waitFor(() => expect(started).toBe(1));
    raw.socket.destroy();
    await settled(['failure', 'ignored']);
  });

  it('governed in a part as well as in the whole, counts once', async () => {
    const { url, settled } = await shop((s) => {
      const sub = make();
      sub.use(
        governExpress((governed as GovernedApp).app, {
          limits: [(governed as GovernedApp).record.gate],
          queue: false,
        }),
      );
      sub.get('/orders/:id', (req, res) => res.end(callOf(req)?.operation));
      s.use('/sub', sub);
    });
    expect(await fetch(`${url}/sub/orders/1`).then((r) => r.text())).toBe('GET /sub/orders/:id');
    await settled(['success']);
  });

  it('a client that leaves before its turn takes no place', async () => {
    let go: () => void = () => undefined;
    governed = governedApp();
    const { app, record, listen } = governed;
    const written = make();
    const closed = vi.fn();
    written.use((_req, res, next) => {
      res.once('close', closed);
      go = next;
    });
    written.use(governExpress(app, { limits: [record.gate], queue: false }));
    const handler = vi.fn();
    written.use(handler);
    const { port } = await listen(http.createServer(written));
    const raw = await rawClient(port);
    raw.socket.write('GET / HTTP/1.1\r\nhost: test\r\n\r\n');
    await vi.waitFor(() => expect(go.length).toBeGreaterThan(0));
    raw.socket.destroy();
    await vi.waitFor(() => expect(closed).toHaveBeenCalled());
    go();
    await new Promise((resolve) => setImmediate(resolve));
    expect([record.asked, record.inflight(), handler.mock.calls]).toEqual([[], 0, []]);
  });

  it('has nothing to do with upgrades', async () => {
    governed = governedApp();
    const { app, record, listen } = governed;
    const written = make();
    written.use(governExpress(app, { limits: [record.gate], queue: false }));
    const server = http.createServer(written);
    server.on('upgrade', (_req, socket) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n');
    });
    const { port } = await listen(server);
    const raw = await rawClient(port);
    raw.socket.write('GET / HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n');
    await raw.until('101');
    await once(raw.socket, 'close');
    expect(record.asked).toEqual([]);
  });
});

it('refuses options that there are not', () => {
  governed = governedApp();
  const { app } = governed;
  expect(() => governExpress(app, { limit: 3 } as never)).toThrow(TypeError);
  expect(callOf({} as http.IncomingMessage)).toBeUndefined();
});
