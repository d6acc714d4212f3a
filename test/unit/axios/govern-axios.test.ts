import axios, { AxiosError, type AxiosInstance, type InternalAxiosRequestConfig } from 'axios';
import { type App, type AppOptions, createApp } from 'keelson';
import { type AxiosStaticLike, type GovernAxiosOptions, governAxios } from 'keelson/axios';
import { type Call, createCall, isGovernanceError, runWithCall } from 'keelson/core';
import { type ManualClock, manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it } from 'vitest';

type Config = InternalAxiosRequestConfig & { governance?: unknown };

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function appOf(options: Partial<AppOptions> = {}): App {
  const endpoints = {
    users: ['http://10.0.0.1:8080'],
    orders: ['http://10.0.0.2:8080'],
    'Mixed-Case': ['http://10.0.0.3'],
  };
  const app = createApp({ service: 'shop', signals: false, endpoints, ...options });
  closers.push(() => app.stop());
  return app;
}

/** An instance whose adapter notes what it is given, and answers with what the test says. */
function instanceOf(defaults: object = {}, answer: (config: Config) => unknown = () => ({})) {
  const sent: Config[] = [];
  const adapter = async (config: Config) => {
    sent.push(config);
    const { status = 200, ...rest } = (await answer(config)) as { status?: number };
    return { data: '', statusText: '', headers: {}, config, status, ...rest };
  };
  return { instance: axios.create({ ...defaults, adapter: adapter as never }), sent };
}

const fullUrl = ({ url, baseURL }: Config) => (baseURL === undefined ? url : `${url} on ${baseURL}`);

describe('which requests are governed', () => {
  const users = 'http://10.0.0.1:8080';
  const orders = 'http://10.0.0.2:8080';
  it.each<[string, string | GovernAxiosOptions, object, object, string]>([
    ['a path', 'users', {}, { url: '/x' }, `${users}/x`],
    ['a path without a slash', 'users', {}, { url: 'x/y' }, `${users}/x/y`],
    ['nothing', 'users', {}, { url: '' }, `${users}/`],
    ['a query', 'users', {}, { url: '/x?a=b#c' }, `${users}/x?a=b`],
    ['the name as host', 'users', {}, { url: 'http://users/x' }, `${users}/x`],
    ['the name as host in capitals', 'users', {}, { url: 'http://USERS/x' }, `${users}/x`],
    ['the name as host of TLS', 'users', {}, { url: 'https://users/x' }, `${users}/x`],
    ['a base', 'users', { baseURL: 'http://users/api/' }, { url: '/x' }, `${users}/api/x`],
    ['a base alone', 'users', { baseURL: 'http://users/api' }, {}, `${users}/api`],
    ['a base that is a path', 'users', { baseURL: '/api' }, { url: 'x' }, `${users}/api/x`],
    ['a base elsewhere', 'users', { baseURL: 'https://lb.internal:8443/v1' }, { url: '/x' }, `${users}/v1/x`],
    ['the host of the base', 'users', { baseURL: 'http://lb' }, { url: 'http://lb/y' }, `${users}/y`],
    ['a base in capitals', 'users', { baseURL: 'HTTP://LB' }, { url: '/y' }, `${users}/y`],
    [
      'an absolute URL that is none',
      'users',
      { baseURL: 'http://users/a', allowAbsoluteUrls: false },
      { url: 'http://x/b' },
      `${users}/a/http://x/b`,
    ],
    ['credentials', 'users', {}, { url: 'http://me:p%40@users/x' }, 'http://me:p%40@10.0.0.1:8080/x'],
    ['dollars', 'users', {}, { url: "http://me:$$$&$'@users/x" }, "http://me:$$$&$'@10.0.0.1:8080/x"],
    ['a user', 'users', {}, { url: 'http://me@users/x' }, 'http://me@10.0.0.1:8080/x'],
    ['a name in capitals', 'Mixed-Case', {}, { url: 'http://mixed-case/x' }, 'http://10.0.0.3/x'],
    ['one of a list', { services: ['users', 'orders'] }, {}, { url: 'http://orders/x' }, `${orders}/x`],
    [
      'one by host',
      { services: { 'api.shop:81': 'orders' } },
      {},
      { url: 'http://api.shop:81/x' },
      `${orders}/x`,
    ],
    [
      'one besides',
      { service: 'users', services: ['orders'] },
      {},
      { url: 'http://orders/x' },
      `${orders}/x`,
    ],
    ['the own besides', { service: 'users', services: ['orders'] }, {}, { url: '/x' }, `${users}/x`],
    [
      'the base of another',
      { service: 'users', services: { lb: 'orders' } },
      { baseURL: 'http://lb' },
      { url: '/x' },
      `${orders}/x`,
    ],
  ])('%s', async (_, service, defaults, config, url) => {
    const { instance, sent } = instanceOf(defaults);
    await governAxios(instance, appOf(), service).request(config);
    expect(sent.map(fullUrl)).toEqual([url]);
    expect(sent[0]?.headers.get('x-keelson-timeout-ms')).toMatch(/^\d+$/);
  });

  it.each<[string, string | GovernAxiosOptions, object, object, string | undefined]>([
    ['another host', 'users', {}, { url: 'http://other/x' }, 'http://other/x'],
    ['another port', 'users', {}, { url: 'http://users:81/x' }, 'http://users:81/x'],
    [
      'another host than the base',
      'users',
      { baseURL: 'http://lb' },
      { url: 'http://x/y' },
      'http://x/y on http://lb',
    ],
    ['another base', 'users', { baseURL: 'http://lb' }, { baseURL: 'http://x', url: '/y' }, '/y on http://x'],
    ['a path with a list', { services: ['users'] }, {}, { url: '/x' }, '/x'],
    ['a scheme', 'users', {}, { url: 'ftp://users/x' }, 'ftp://users/x'],
    ['data', 'users', {}, { url: 'data:,x' }, 'data:,x'],
    ['a scheme without a host', 'users', {}, { url: 'http:x' }, 'http:x'],
    ['what is no URL', 'users', {}, { url: 'http://[/x' }, 'http://[/x'],
    ['a host without a scheme', 'users', {}, { url: '//other/x' }, '//other/x'],
    ['a socket', 'users', {}, { url: '/x', socketPath: '/run/x.sock' }, '/x'],
    ['one that is to pass', 'users', {}, { url: '/x', governance: false }, '/x'],
  ])('not %s, and it passes untouched', async (_, service, defaults, config, url) => {
    const { instance, sent } = instanceOf(defaults);
    const own = new AbortController().signal;
    const bare = axios.create({ ...defaults, adapter: async (seen) => Promise.reject(seen) });
    const native = await bare.request({ ...config, signal: own, timeout: 5 }).catch((seen: Config) => seen);
    await governAxios(instance, appOf(), service).request({ ...config, signal: own, timeout: 5 });
    expect(sent.map(fullUrl)).toEqual([url]);
    expect(Object.keys(sent[0] ?? {})).toEqual(Object.keys(native));
    expect({ ...sent[0]?.headers }).toEqual({ ...(native as Config).headers });
    expect([sent[0]?.signal, sent[0]?.timeout]).toEqual([own, 5]);
  });

  it('by the base URL of the moment', async () => {
    const { instance, sent } = instanceOf({ baseURL: 'http://lb' });
    governAxios(instance, appOf(), 'users');
    instance.defaults.baseURL = 'http://new';
    await instance.get('http://lb/x');
    await instance.get('http://new/x');
    expect(sent.map(fullUrl)).toEqual(['http://lb/x on http://new', `${users}/x`]);
  });

  it('of instances that are created later as well, and not of one whose request has an adapter', async () => {
    const { instance, sent } = instanceOf();
    governAxios(instance, appOf(), 'users');
    await instance.create({ headers: { a: 'b' } }).get('/x');
    const other = instanceOf();
    await instance.get('/y', { adapter: other.instance.defaults.adapter as never });
    expect([sent.map(fullUrl), other.sent.map(fullUrl)]).toEqual([[`${users}/x`], ['/y']]);
  });

  it('once, however often the instance was governed', async () => {
    const { instance, sent } = instanceOf();
    const app = appOf({ endpoints: { users: ['http://users'], orders: ['http://orders'] } });
    governAxios(governAxios(governAxios(instance, app, 'users'), app, 'users'), app, 'orders');
    await instance.get('http://users/x');
    await instance.get('/y');
    expect(sent.map(fullUrl)).toEqual(['http://users/x', 'http://orders/y']);
    const requests = app
      .snapshot()
      .flatMap(({ endpoints }) => endpoints.flatMap(({ gates }) => gates as { requests: number }[]))
      .map((gate) => gate.requests);
    expect(requests).toEqual([0, 1, 1]);
  });
});

describe('the call', () => {
  /** What the stack is told of one request. */
  async function callOf(
    config: object,
    options: Partial<GovernAxiosOptions> = {},
    inbound?: Call,
    ofApp?: Partial<AppOptions>,
  ) {
    const calls: Call[] = [];
    const { instance } = instanceOf();
    governAxios(instance, appOf(ofApp), {
      service: 'users',
      use: [
        (next) => (request, call) => {
          calls.push(call);
          return next(request, call);
        },
      ],
      ...options,
    });
    const run = () => instance.request(config);
    await (inbound ? runWithCall(inbound, run) : run());
    return calls[0] as Call;
  }
  const routes = ['/users/:id', 'POST /users'];

  it.each([
    [{ url: '/users/1' }, 'GET /users/:id'],
    [{ url: '/users/1?a=b', method: 'delete' }, 'DELETE /users/:id'],
    [{ url: '/users', method: 'post' }, 'POST /users'],
    [{ url: '/users' }, 'GET'],
    [{ url: '/users/1', governance: { operation: 'mine' } }, 'mine'],
  ])('%o has the operation %s', async (config, operation) => {
    expect((await callOf(config, { routes })).operation).toBe(operation);
  });

  it('has one that a policy means by its name, which may be that of the app', async () => {
    const tied = { routes: '/search' };
    const config = { url: '/search?a=b' };
    expect((await callOf(config, { tied })).operation).toBe('GET /search');
    expect((await callOf(config, { routes }, undefined, { client: { tied } })).operation).toBe('GET /search');
    expect((await callOf(config, { tied: false }, undefined, { client: { tied } })).operation).toBe('GET');
  });

  it.each([
    [{}, true],
    [{ method: 'put' }, true],
    [{ method: 'post' }, false],
    [{ method: 'patch' }, false],
    [{ method: 'post', headers: { 'Idempotency-Key': 'k' } }, true],
    [{ method: 'post', headers: { 'Idempotency-Key': false } }, false],
    [{ method: 'post', governance: { idempotent: true } }, true],
    [{ governance: { idempotent: false } }, false],
  ])('%o is idempotent: %s', async (config, idempotent) => {
    expect((await callOf(config)).idempotent).toBe(idempotent);
  });

  it('has key and priority, and inherits a priority', async () => {
    const own = await callOf({ governance: { key: 'k', priority: 3 } });
    expect([own.service, own.side, own.key, own.priority]).toEqual(['users', 'client', 'k', 3]);
    const inbound = createCall({ side: 'server', service: 'shop', operation: 'GET', priority: 5 });
    const inherited = await callOf({}, {}, inbound);
    expect([inherited.priority, inherited.headers.get('x-md-global-priority')]).toEqual([5, '5']);
  });

  it('refuses options that are out of range, as the rejection of the request', async () => {
    const { instance, sent } = instanceOf();
    governAxios(instance, appOf(), 'users');
    await expect(instance.get('/x', { governance: { timeoutMs: 0 } })).rejects.toThrow(RangeError);
    await expect(instance.get('/x', { governance: { priority: 1000 } })).rejects.toThrow(
      'governance.priority',
    );
    expect(sent).toEqual([]);
  });

  it('shows spans a path with its query', async () => {
    const paths: string[] = [];
    const { instance } = instanceOf();
    governAxios(instance, appOf(), {
      service: 'users',
      use: [
        (next) => (request, call) => {
          paths.push(request.path);
          return next(request, call);
        },
      ],
    });
    await instance.get('/x?a=b');
    await instance.get('/x?a=b', { params: { c: ['d', 'e f'] } });
    await instance.get('/x', { params: { c: 1 }, paramsSerializer: { serialize: () => 'all=mine' } });
    await instance.get('/x', {
      params: { c: 1 },
      paramsSerializer: {
        serialize: () => {
          throw new Error('bug');
        },
      },
    });
    instance.defaults.baseURL = 'http://users/api';
    instance.defaults.allowAbsoluteUrls = false;
    await instance.get('/x', { params: { c: 1 } });
    expect(paths).toEqual(['/x?a=b', '/x?a=b&c%5B%5D=d&c%5B%5D=e+f', '/x?all=mine', '/x', '/api/x?c=1']);
  });
});

describe('what is sent', () => {
  it('is a copy: the config of the caller is what responses and errors have, and can be sent again', async () => {
    const { instance, sent } = instanceOf({ baseURL: 'http://users/api' }, ({ url }) => {
      if (url?.endsWith('/bad')) throw new AxiosError('bad', 'ECONNRESET', { url: 'sent' } as never);
      return {};
    });
    governAxios(instance, appOf(), { service: 'users', retry: false });
    const { config } = await instance.get('/x', { headers: { a: 'b' }, timeout: 77 });
    expect([config.url, config.baseURL, config.timeout]).toEqual(['/x', 'http://users/api', 77]);
    expect(Object.keys(config.headers)).not.toContain('x-keelson-timeout-ms');
    expect(sent[0]?.headers.get('a')).toBe('b');
    const error = await instance.get('/bad').catch((thrown: AxiosError) => thrown);
    expect((error as AxiosError).config?.url).toBe('/bad');
    await instance.request(config);
    expect(sent.map(fullUrl)).toEqual(
      ['api/x', 'api/bad', 'api/x'].map((path) => `http://10.0.0.1:8080/${path}`),
    );
    expect(sent.every(({ headers }) => headers.constructor === config.headers.constructor)).toBe(true);
  });

  it("has headers of ours in place of the caller's, in whatever case, and not those that the caller refuses", async () => {
    const { instance, sent } = instanceOf();
    const add = (call: Call) => {
      call.headers.set('authorization', 'ours');
      call.headers.set('x-refused', 'ours');
    };
    governAxios(instance, appOf(), {
      service: 'users',
      useAttempt: [
        (next) => (request, call) => {
          add(call);
          return next(request, call);
        },
      ],
    });
    await instance.get('/x', { headers: { Authorization: 'theirs', 'X-Refused': false, kept: 'kept' } });
    const headers = sent[0]?.headers.toJSON() ?? {};
    const found = Object.entries(headers).filter(([name]) => /^(authorization|x-refused|kept)$/i.test(name));
    expect(found).toEqual([
      ['Authorization', 'ours'],
      ['kept', 'kept'],
    ]);
  });

  it('leaves requests without headers of axios to adapters that others call', async () => {
    const { instance, sent } = instanceOf();
    governAxios(instance, appOf(), 'users');
    const adapter = instance.defaults.adapter as unknown as (config: object) => Promise<{ status: number }>;
    const response = await adapter({ url: '/x', headers: { A: 'b', 'X-MD-Service-Name': 'theirs' } });
    expect(response.status).toBe(200);
    expect(sent[0]?.headers).toMatchObject({ A: 'b', 'x-md-service-name': 'shop' });
    expect(Object.keys(sent[0]?.headers ?? {})).not.toContain('X-MD-Service-Name');
  });
});

describe('time', () => {
  /** How a call ends that nobody answers, once so much time has gone by. */
  async function endAfter(
    ms: number,
    config: object,
    more: { options?: object; adapter?: string; deadline?: number } = {},
  ) {
    const clock: ManualClock = manualClock();
    const { instance } = instanceOf({}, () => new Promise(() => undefined));
    governAxios(instance, appOf({ clock }), { service: 'users', ...more.options });
    const inbound = createCall({
      side: 'server',
      service: 'shop',
      operation: 'GET',
      deadline: more.deadline ?? Number.POSITIVE_INFINITY,
    });
    let end: unknown = 'open';
    const running = runWithCall(inbound, () => instance.get('/x', config)).catch((error: unknown) => {
      end = error;
    });
    for (let i = 0; i < 20; i++) await Promise.resolve();
    await clock.advance(ms);
    await Promise.race([running, new Promise((resolve) => setImmediate(resolve))]);
    return end as AxiosError | string;
  }

  it.each([
    ['axios says', 60, { timeout: 50 }, {}, 'ECONNABORTED', 'timeout of 50ms exceeded'],
    ['axios says in text', 60, { timeout: '50' }, {}, 'ECONNABORTED', 'timeout of 50ms exceeded'],
    [
      'axios says, in other words',
      60,
      { timeout: 50, timeoutErrorMessage: 'slow' },
      {},
      'ECONNABORTED',
      'slow',
    ],
    [
      'axios says, by a clear name',
      60,
      { timeout: 50, transitional: { clarifyTimeoutError: true } },
      {},
      'ETIMEDOUT',
      'timeout of 50ms exceeded',
    ],
    [
      'axios says, less than the policy',
      60,
      { timeout: 50 },
      { options: { timeoutMs: 90 } },
      'ECONNABORTED',
      'timeout of 50ms exceeded',
    ],
    [
      'axios says, more than the default',
      30_010,
      { timeout: 30_000 },
      {},
      'ECONNABORTED',
      'timeout of 30000ms exceeded',
    ],
    [
      'the policy says, less than axios',
      60,
      { timeout: 500 },
      { options: { timeoutMs: 50 } },
      'DEADLINE_EXCEEDED',
      'within 50 ms',
    ],
    ['the call says', 60, { governance: { timeoutMs: 50 } }, {}, 'DEADLINE_EXCEEDED', 'within 50 ms'],
    [
      'the call says, less than axios',
      60,
      { timeout: 500, governance: { timeoutMs: 50 } },
      {},
      'DEADLINE_EXCEEDED',
      'within 50 ms',
    ],
    ['the inbound call says', 60, { timeout: 500 }, { deadline: 50 }, 'DEADLINE_EXCEEDED', 'within 50 ms'],
    ['nobody says', 10_010, { timeout: 0 }, {}, 'DEADLINE_EXCEEDED', 'within 10000 ms'],
  ])('%s', async (_, ms, config, more, code, words) => {
    const end = (await endAfter(ms, config, more)) as AxiosError;
    expect(end.code).toBe(code);
    expect(end.message).toContain(words);
    expect(isGovernanceError(end)).toBe(code === 'DEADLINE_EXCEEDED');
    if (code === 'DEADLINE_EXCEEDED') return;
    expect(end).toBeInstanceOf(AxiosError);
    expect([end.config?.url, isGovernanceError(end.cause), Object.keys(end).includes('cause')]).toEqual([
      '/x',
      true,
      false,
    ]);
  });

  it.each([
    ['axios', 9_990, { timeout: 30_000 }],
    ['the call', 9_990, { governance: { timeoutMs: 30_000 } }],
    ['nobody', 9_990, {}],
  ])('is not over before: %s', async (_, ms, config) => {
    expect(await endAfter(ms, config)).toBe('open');
  });
});

describe('how it is set up', () => {
  const { instance } = instanceOf();
  it.each<[string, unknown, unknown, string]>([
    ['no instance', undefined, 'users', 'axios instance'],
    ['something else', {}, 'users', 'axios instance'],
    ['no service', instance, {}, 'needs a service'],
    ['no services', instance, { services: [] }, 'needs a service'],
    ['an empty name', instance, '', 'must be a name'],
    ['a number', instance, { service: 3 }, 'must be a name'],
    ['services that are one', instance, { services: 'users' }, 'in place of the options'],
    ['a host without a service', instance, { services: { users: '' } }, 'has no service'],
    ['a URL for a host', instance, { services: { 'http://users': 'users' } }, 'must be the host'],
    ['a path', instance, { services: { 'users/x': 'users' } }, 'must be the host'],
    ['a service that cannot be found', instance, 'nobody', 'cannot find "nobody"'],
    ['an option that is none', instance, { service: 'users', timeout: 3 }, 'timeout is not an option'],
    ['a route that is none', instance, { service: 'users', routes: ['x'] }, 'routes'],
    [
      'a balancer for two',
      instance,
      { services: ['users', 'orders'], balancer: {} },
      'belongs to one service',
    ],
    ['an instance that finds no adapter', new axios.Axios({ adapter: 'http' }), 'users', 'axios itself'],
  ])('refuses %s', (_, given, options, words) => {
    const act = () => governAxios(given as AxiosInstance, appOf(), options as string);
    expect(act).toThrow(words);
    expect(act).toThrow(TypeError);
  });

  it('refuses what could never be meant, in the name of where it was written', () => {
    const client = { tied: { routes: /GET \/search/ } };
    const govern = (given: object, options?: Partial<AppOptions>) => () =>
      governAxios(axios.create(), appOf(options), { service: 'users', ...given });
    const fits = (where: string) => `${where}.tied.routes: /GET \\/search/ fits no operation`;
    expect(govern(client)).toThrow(fits('governAxios'));
    expect(govern({}, { client })).toThrow(fits('createApp.client'));
    expect(govern({ tied: false }, { client })).not.toThrow();
    expect(govern({ routes: ['/search'] }, { client })).not.toThrow();
  });

  it('finds the adapter of an instance that cannot, by axios itself', async () => {
    const made = new axios.Axios({ url: 'data:,x' });
    const found: unknown[] = [];
    const itself: AxiosStaticLike = {
      defaults: { adapter: 'the default' },
      getAdapter: (adapter: unknown) => {
        found.push(adapter);
        return async (config: object) => ({ status: 200, data: 'here', headers: {}, config });
      },
    };
    governAxios(made, appOf(), { service: 'users', axios: itself });
    const response = await made.request({ url: '/x' });
    expect([response.data, found]).toEqual(['here', ['the default']]);
  });

  it('leaves an error of ours where axios has none to give', async () => {
    const clock = manualClock();
    const made = new axios.Axios({ adapter: () => new Promise(() => undefined) });
    governAxios(made, appOf({ clock }), 'users');
    const running = made.request({ url: '/x', timeout: 50 }).catch((error: unknown) => error);
    for (let i = 0; i < 20; i++) await Promise.resolve();
    await clock.advance(60);
    expect(isGovernanceError(await running)).toBe(true);
  });
});
