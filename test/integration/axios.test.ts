import { Readable } from 'node:stream';
import axios, { AxiosError, AxiosHeaders, type CreateAxiosDefaults, isAxiosError, isCancel } from 'axios';
import { createApp } from 'keelson';
import { governAxios } from 'keelson/axios';
import { createCall, isGovernanceError, runWithCall } from 'keelson/core';
import { governedFetch } from 'keelson/http';
import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Act, type Governed, governed, type Replica, replica } from '../doubles/axios-replicas.js';

const adapters: Record<string, CreateAxiosDefaults> = {
  'the adapter that axios chooses': {},
  'the http adapter': { adapter: 'http' },
  'the fetch adapter': { adapter: 'fetch' },
  'a list that begins with fetch': { adapter: ['fetch', 'http'] },
  'an adapter that is a function': { adapter: axios.getAdapter('http') },
};
const status =
  (code: number, headers: Record<string, string> = {}): Act =>
  (_, res) =>
    res.writeHead(code, { 'content-type': 'application/json', ...headers }).end(`{"status":${code}}`);
const hang: Act = () => undefined;
/** Polls, more often than usual: there are many of these. */
const soon = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 });
const hits = (replicas: readonly Replica[]) =>
  replicas.reduce((sum, { requests }) => sum + requests.length, 0);

describe.each(Object.entries(adapters))('over %s', (name, defaults) => {
  const byFetch = name.includes('fetch');
  const closers: (() => unknown)[] = [];
  let last: Governed | undefined;

  afterEach(async () => {
    // Whatever a test did, nothing of it is left.
    await last?.idle();
    last = undefined;
    for (const close of closers.splice(0).reverse()) await close();
    vi.unstubAllGlobals();
  });

  const start = async (...acts: Act[]) => {
    const replicas = await Promise.all(acts.map((act) => replica(act)));
    closers.push(...replicas.map((one) => () => one.close()));
    return replicas;
  };
  const govern: typeof governed = (replicas, more, options) => {
    last = governed(replicas, { ...defaults, ...more }, options);
    closers.push(last.stop);
    return last;
  };

  it('a call is as it was without us', async () => {
    const replicas = await start((_, res) => res.setHeader('x-own', 'a').end('{"a":1}'));
    const { users, observed, released } = govern(replicas, { baseURL: 'http://users/api' });
    const order: string[] = [];
    users.interceptors.request.use((config) => {
      order.push('request 1');
      return config;
    });
    users.interceptors.request.use((config) => {
      order.push('request 2');
      config.headers.set('x-added', 'yes');
      return config;
    });
    users.interceptors.response.use((response) => {
      order.push('response');
      return response;
    });
    const response = await users.post(
      '/x',
      { b: 2 },
      { params: { q: 'a b', r: [1, 2] }, auth: { username: 'me', password: 'p' } },
    );
    expect([response.status, response.data, response.headers]).toEqual([
      200,
      { a: 1 },
      expect.any(AxiosHeaders),
    ]);
    expect([response.headers['x-own'], response.config.url, response.config.data]).toEqual([
      'a',
      '/x',
      '{"b":2}',
    ]);
    expect(order).toEqual(['request 2', 'request 1', 'response']);
    expect(replicas[0]?.requests).toMatchObject([
      {
        method: 'POST',
        url: '/api/x?q=a+b&r%5B%5D=1&r%5B%5D=2',
        headers: {
          authorization: `Basic ${btoa('me:p')}`,
          'content-type': 'application/json',
          'x-added': 'yes',
          'x-md-service-name': 'shop',
        },
      },
    ]);
    expect([observed, released]).toEqual([['success'], ['success']]);
  });

  it.each<[string, Act, string]>([
    ['an error', status(500), 'failure'],
    ['no connection', (req) => req.socket.destroy(), 'failure'],
    ['a reset', (req) => req.socket.resetAndDestroy(), 'failure'],
    ['a shed call', status(429), 'overload'],
    [
      'a body that breaks off',
      (_, res) => {
        res.writeHead(200, { 'content-length': '100' });
        res.write('abc', () => res.socket?.resetAndDestroy());
      },
      'failure',
    ],
  ])('%s is tried again elsewhere, and the caller sees nothing of it', async (_, act, outcome) => {
    const first = { done: false };
    const once: Act = (req, res) => {
      if (first.done) return status(200)(req, res);
      first.done = true;
      return act(req, res);
    };
    const replicas = await start(once, once);
    const { users, released } = govern(replicas, {});
    const runs = { transform: 0, interceptor: 0 };
    users.interceptors.request.use((config) => {
      runs.interceptor++;
      return config;
    });
    const transformRequest = (data: unknown) => {
      runs.transform++;
      return JSON.stringify(data);
    };
    const { data } = await users.put('/x', { a: 1 }, { transformRequest });
    expect(data).toEqual({ status: 200 });
    expect(replicas.map(({ requests }) => requests.length)).toEqual([1, 1]);
    expect([released, runs]).toEqual([[outcome, 'success'], { transform: 1, interceptor: 1 }]);
  });

  it('an instance that is gone is left out', async () => {
    const replicas = await start(status(200), status(200));
    await replicas[0]?.close();
    const { users, released } = govern(replicas, {});
    for (let i = 0; i < 6; i++) expect((await users.get('/x')).status).toBe(200);
    expect(new Set(released)).toEqual(
      new Set(released.includes('failure') ? ['success', 'failure'] : ['success']),
    );
    expect(replicas[1]?.requests.length).toBe(6);
  });

  it('all gone ends in the error of the adapter', async () => {
    const replicas = await start(hang);
    await replicas[0]?.close();
    const { users, released } = govern(replicas, {});
    const error = await users.get('/x').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AxiosError);
    expect(error).toMatchObject({
      code: byFetch ? 'ERR_NETWORK' : 'ECONNREFUSED',
      config: { url: '/x', baseURL: 'http://users' },
    });
    expect(released).toEqual(['failure', 'failure']);
  });

  it.each([
    [503, 'ERR_BAD_RESPONSE', 2],
    [429, 'ERR_BAD_REQUEST', 2],
    [404, 'ERR_BAD_REQUEST', 1],
  ])('%i ends in the usual error, after the tries', async (code, axiosCode, tries) => {
    const replicas = await start(status(code), status(code));
    const { users } = govern(replicas, {});
    const error = (await users.get('/x').catch((thrown: unknown) => thrown)) as AxiosError;
    expect([isAxiosError(error), error instanceof AxiosError, error.code, error.status]).toEqual([
      true,
      true,
      axiosCode,
      code,
    ]);
    expect([error.response?.data, error.response?.config.url, error.config?.url]).toEqual([
      { status: code },
      '/x',
      '/x',
    ]);
    expect(hits(replicas)).toBe(tries);
  });

  it('what validateStatus lets pass is a response, and judged all the same', async () => {
    const replicas = await start(status(503), status(503));
    const { users, released } = govern(replicas, { validateStatus: () => true });
    expect((await users.get('/x')).status).toBe(503);
    expect(released).toEqual(['failure', 'failure']);
  });

  it('Retry-After is heeded: too long to wait for, it is no try', async () => {
    const replicas = await start(status(503, { 'retry-after': '30' }), status(503, { 'retry-after': '30' }));
    const { users } = govern(replicas, {});
    await expect(users.get('/x')).rejects.toMatchObject({ status: 503 });
    expect(hits(replicas)).toBe(1);
  });

  it.each<[string, (users: Governed['users']) => Promise<unknown>, number]>([
    ['POST', (users) => users.post('/x', { a: 1 }), 1],
    ['POST with a key', (users) => users.post('/x', { a: 1 }, { headers: { 'Idempotency-Key': 'k' } }), 2],
    ['POST that may be', (users) => users.post('/x', { a: 1 }, { governance: { idempotent: true } }), 2],
    ['PUT', (users) => users.put('/x', 'text'), 2],
    ['PUT of bytes', (users) => users.put('/x', Buffer.from('bytes')), 2],
    [
      'PUT of a form of the platform',
      (users) => {
        const form = new FormData();
        form.set('a', '1');
        return users.put('/x', form);
      },
      2,
    ],
    ['PUT of a stream', (users) => users.put('/x', Readable.from(['a', 'b'])), 1],
    ['PUT of a form of axios', (users) => users.putForm('/x', { a: 1 }), 1],
    ['GET that may not', (users) => users.get('/x', { governance: { idempotent: false } }), 1],
  ])('%s: tries are counted', async (_, send, tries) => {
    const drained: Act = (req, res) => {
      req.resume().on('end', () => status(503)(req, res));
    };
    const replicas = await start(drained, drained);
    const { users } = govern(replicas, {});
    await expect(send(users)).rejects.toMatchObject({ status: 503 });
    expect(hits(replicas)).toBe(tries);
  });

  it('time by axios ends in its error', async () => {
    const replicas = await start(hang);
    const { users, released, idle } = govern(replicas, {});
    const error = await users.get('/x', { timeout: 40 }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AxiosError);
    expect(error).toMatchObject({
      code: byFetch ? 'ETIMEDOUT' : 'ECONNABORTED',
      message: 'timeout of 40ms exceeded',
      config: { url: '/x' },
    });
    await idle();
    expect(released).toEqual(['failure']);
    await soon(() => expect(replicas[0]?.closed).toBe(hits(replicas)));
  });

  it('time by the policy ends in a refusal', async () => {
    const replicas = await start(hang);
    const { users } = govern(replicas, {}, { options: { timeoutMs: 40 } });
    const error = await users.get('/x').catch((thrown: unknown) => thrown);
    expect([isGovernanceError(error) && error.code, isAxiosError(error)]).toEqual([
      'DEADLINE_EXCEEDED',
      false,
    ]);
    await soon(() => expect(replicas[0]?.closed).toBe(hits(replicas)));
  });

  it('a body that does not come is within the time', async () => {
    const replicas = await start((_, res) => void res.writeHead(200).write('begun'));
    const { users } = govern(replicas, {});
    await expect(users.get('/x', { timeout: 60 })).rejects.toMatchObject({
      message: 'timeout of 60ms exceeded',
    });
    await soon(() => expect(replicas[0]?.closed).toBe(hits(replicas)));
  });

  describe('given up', () => {
    const begun = (replicas: readonly Replica[]) => soon(() => expect(hits(replicas)).toBe(1));
    it.each<[string, () => { config: object; give: () => void }]>([
      [
        'by signal',
        () => {
          const controller = new AbortController();
          return { config: { signal: controller.signal }, give: () => controller.abort(new Error('mine')) };
        },
      ],
      [
        'by token',
        () => {
          const { token, cancel } = axios.CancelToken.source();
          return { config: { cancelToken: token }, give: () => cancel('mine') };
        },
      ],
      [
        'by one of both',
        () => {
          const { token, cancel } = axios.CancelToken.source();
          return {
            config: { cancelToken: token, signal: new AbortController().signal },
            give: () => cancel('mine'),
          };
        },
      ],
    ])('%s: the error of axios, nobody blamed, nothing left', async (_, make) => {
      const replicas = await start(hang);
      const { users, released, idle } = govern(replicas, {});
      const { config, give } = make();
      const running = users.get('/x', config).catch((thrown: unknown) => thrown);
      await begun(replicas);
      give();
      const error = await running;
      expect([isCancel(error), error instanceof AxiosError, (error as AxiosError).code]).toEqual([
        true,
        true,
        'ERR_CANCELED',
      ]);
      await idle();
      expect(released).toEqual(['ignored']);
      await soon(() => expect(replicas[0]?.closed).toBe(1));
    });

    it('beforehand: nothing is sent', async () => {
      const replicas = await start(hang);
      const { users } = govern(replicas, {});
      const error = await users.get('/x', { signal: AbortSignal.abort() }).catch((thrown: unknown) => thrown);
      expect([isCancel(error), hits(replicas)]).toEqual([true, 0]);
    });

    it('between two tries: there is no other', async () => {
      const replicas = await start(status(503, { 'retry-after': '1' }), status(503, { 'retry-after': '1' }));
      const { users } = govern(replicas, {});
      const controller = new AbortController();
      const running = users.get('/x', { signal: controller.signal }).catch((thrown: unknown) => thrown);
      await soon(() => expect(replicas.some(({ closed }) => closed === 1)).toBe(true));
      controller.abort();
      expect(isCancel(await running)).toBe(true);
      expect(hits(replicas)).toBe(1);
    });
  });

  it('what is not listed gets none of our headers', async () => {
    const replicas = await start(status(200), status(200));
    const [inside, outside] = replicas as [Replica, Replica];
    const { users, released } = govern([inside], {});
    const response = await users.get(`${outside.url}/x`, { params: { a: 1 } });
    expect([response.data, response.config.url, released]).toEqual([{ status: 200 }, `${outside.url}/x`, []]);
    const ours = Object.keys(outside.requests[0]?.headers ?? {}).filter((header) =>
      /^x-(md|keelson)-|^traceparent/.test(header),
    );
    expect([outside.requests[0]?.url, ours]).toEqual(['/x?a=1', []]);
  });

  it('what is not listed can be sent again as it was', async () => {
    const bodies: string[] = [];
    const echo: Act = async (req, res) => {
      let body = '';
      for await (const part of req) body += part;
      bodies.push(body);
      status(500)(req, res);
    };
    const replicas = await start(status(200), echo);
    const [inside, outside] = replicas as [Replica, Replica];
    const { users } = govern([inside], {});
    const error = (await users
      .post(`${outside.url}/x`, { a: 1 })
      .catch((thrown: unknown) => thrown)) as AxiosError;
    expect([error.response?.data, error.response?.config === error.config]).toEqual([{ status: 500 }, true]);
    await users.request({ ...error.config, data: { b: 2 } }).catch(() => undefined);
    expect(bodies).toEqual(['{"a":1}', '{"b":2}']);
  });

  describe('a redirect', () => {
    it('to the same instance is followed with all headers', async () => {
      const replicas = await start((req, res) =>
        req.url === '/x' ? res.writeHead(302, { location: '/y?z=1' }).end() : status(200)(req, res),
      );
      const { users, released } = govern(replicas, {});
      expect((await users.get('/x', { headers: { own: 'a' } })).data).toEqual({ status: 200 });
      expect(replicas[0]?.requests[1]).toMatchObject({
        url: '/y?z=1',
        headers: { own: 'a', 'x-md-service-name': 'shop' },
      });
      expect(released).toEqual(['success']);
    });

    it.each([302, 307])('by %i to another origin is followed without ours', async (code) => {
      const replicas = await start(
        (_, res) => res.writeHead(code, { location: `${replicas[1]?.url}/y` }).end(),
        status(200),
      );
      const [inside, outside] = replicas as [Replica, Replica];
      const { users } = govern([inside], {});
      const headers = { own: 'a', traceparent: 't', baggage: 'b', cookie: 'c', authorization: 'd' };
      expect((await users.get('/x', { headers })).data).toEqual({ status: 200 });
      expect(inside.requests[0]?.headers).toMatchObject({ 'x-md-service-name': 'shop', baggage: 'b' });
      const seen = outside.requests[0]?.headers ?? {};
      expect(seen['own']).toBe('a');
      const ours = Object.keys(seen).filter((header) =>
        /^x-(md|keelson)-|^(traceparent|baggage|cookie|authorization)$/.test(header),
      );
      expect(ours).toEqual([]);
    });

    it('by 303 makes a GET of a POST', async () => {
      const replicas = await start((req, res) =>
        req.url === '/x' ? res.writeHead(303, { location: '/y' }).end() : status(200)(req, res),
      );
      const { users } = govern(replicas, {});
      await users.post('/x', { a: 1 });
      expect(replicas[0]?.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([
        'POST /x',
        'GET /y',
      ]);
    });

    it('is not followed where the caller does not want it', async () => {
      const replicas = await start((_, res) => res.writeHead(302, { location: '/y' }).end());
      const { users } = govern(replicas, { maxRedirects: 0 });
      await expect(users.get('/x')).rejects.toMatchObject({ status: 302 });
      expect(hits(replicas)).toBe(1);
    });

    it('in a circle is the fault of the callee', async () => {
      const replicas = await start((_, res) => res.writeHead(302, { location: '/x' }).end());
      const { users, released } = govern(replicas, {}, { options: { retry: false } });
      await expect(users.get('/x')).rejects.toMatchObject({ isAxiosError: true });
      expect(released).toEqual(['failure']);
    });
  });

  it('what the caller asked for and cannot have blames nobody', async () => {
    const replicas = await start((_, res) => res.end('x'.repeat(100)));
    const { users, released } = govern(replicas, {});
    await expect(users.get('/x', { maxContentLength: 10 })).rejects.toMatchObject({
      code: 'ERR_BAD_RESPONSE',
    });
    await expect(users.put('/x', 'long', { maxBodyLength: 2 })).rejects.toMatchObject({ isAxiosError: true });
    expect(released.filter((outcome) => outcome !== 'success')).toEqual(['ignored', 'ignored']);
  });

  it('an upload that breaks blames nobody', async () => {
    const replicas = await start((req) => void req.resume());
    const { users, released, idle } = govern(replicas, {});
    const upload = new Readable({ read: () => undefined });
    upload.push('begun');
    const running = users.put('/x', upload).catch((thrown: unknown) => thrown);
    await soon(() => expect(hits(replicas)).toBe(1));
    upload.destroy(new Error('disk'));
    expect(isAxiosError(await running)).toBe(true);
    await idle();
    expect(released).toEqual(['ignored']);
  });

  it('a response interceptor may send the config of an error again', async () => {
    let refused = 0;
    const replicas = await start((req, res) => {
      if (req.headers.authorization === 'new') return status(200)(req, res);
      refused++;
      return status(401)(req, res);
    });
    const { users } = govern(replicas, {});
    users.interceptors.response.use(undefined, (error: AxiosError) => {
      if (error.status !== 401 || error.config === undefined) throw error;
      error.config.headers.set('authorization', 'new');
      return users.request(error.config);
    });
    const { data } = await users.put('/x', { a: 1 }, { headers: { authorization: 'old' } });
    expect([data, refused, replicas[0]?.requests.length]).toEqual([{ status: 200 }, 1, 2]);
    expect(replicas[0]?.requests[1]?.headers['x-keelson-timeout-ms']).toMatch(/^\d+$/);
  });

  it('a call inherits deadline and metadata of the call that it is made in', async () => {
    const replicas = await start(status(200));
    const { users } = govern(replicas, {});
    const inbound = createCall({
      side: 'server',
      service: 'shop',
      operation: 'GET',
      deadline: performance.now() + 500,
      priority: 4,
    });
    await runWithCall(inbound, () => users.get('/x'));
    const headers = replicas[0]?.requests[0]?.headers ?? {};
    expect(Number(headers['x-keelson-timeout-ms'])).toBeLessThanOrEqual(500);
    expect(headers['x-md-global-priority']).toBe('4');
  });

  it('a second copy of a slow call wins, and the first is given up', async () => {
    let count = 0;
    const slowOnce: Act = (req, res) => (count++ === 0 ? hang(req, res) : status(200)(req, res));
    const replicas = await start(slowOnce, slowOnce);
    const clock = manualClock();
    const { users, idle, released } = govern(
      replicas,
      {},
      { options: { hedge: { delayMs: 50 } }, app: { clock } },
    );
    const running = users.get('/x');
    await soon(() => expect(hits(replicas)).toBe(1));
    await clock.advance(60);
    expect((await running).data).toEqual({ status: 200 });
    await idle();
    expect(released.toSorted()).toEqual(['ignored', 'success']);
    await soon(() => expect(replicas.reduce((sum, { closed }) => sum + closed, 0)).toBe(2));
  });

  it('is not governed again by a fetch that governs', async () => {
    const replicas = await start(status(200));
    const [one] = replicas as [Replica];
    const { app, users } = govern(replicas, {});
    const below = app.fetch('users', { routes: [] });
    const fetches = governedFetch(fetch, { services: { [one.host]: below } });
    vi.stubGlobal('fetch', fetches);
    await users.get('/x');
    const inner = governedFetch(fetches, { services: {} });
    await users.get('/x', { env: { fetch: inner as typeof fetch } });
    expect(app.snapshot().map(({ endpoints }) => endpoints.map(({ gates }) => gates))).toHaveLength(2);
    const requests = app
      .snapshot()
      .flatMap(({ endpoints }) => endpoints)
      .at(-1)?.gates[0] as { requests: number };
    expect([requests.requests, one.requests.length]).toEqual([0, 2]);
  });
});

describe('axios itself', () => {
  it('is governed for the hosts that are listed', async () => {
    const [users, outside] = (await Promise.all([replica(), replica()])) as [Replica, Replica];
    const before = axios.defaults.adapter;
    const app = createApp({ service: 'shop', signals: false, endpoints: { users: [users.url] } });
    try {
      governAxios(axios, app, { services: ['users'] });
      expect((await axios.get('http://users/x')).data).toBe('ok');
      expect((await axios.get(`${outside.url}/y`)).data).toBe('ok');
      expect([users.requests[0]?.url, outside.requests[0]?.url]).toEqual(['/x', '/y']);
      expect(Object.keys(outside.requests[0]?.headers ?? {}).join()).not.toContain('keelson');
    } finally {
      Object.assign(axios.defaults, { adapter: before });
      await app.stop();
      await Promise.all([users.close(), outside.close()]);
    }
  });
});
