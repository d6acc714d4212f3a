import http from 'node:http';
import axios from 'axios';
import { createApp, governedFetch } from 'keelson';
import { governAxios } from 'keelson/axios';
import { leastLoad } from 'keelson/balancer';
import { sre } from 'keelson/breaker';
import { governedTransport, serverInterceptor } from 'keelson/connect';
import { allOf, attempt } from 'keelson/core';
import { governExpress } from 'keelson/express';
import { governFastify } from 'keelson/fastify';
import {
  addHealth,
  governedChannel,
  governedClient,
  governHandlers,
  governServer,
  grpcServer,
} from 'keelson/grpc';
import { governHono } from 'keelson/hono';
import { governKoa } from 'keelson/koa';
import { bbr, concurrency, dispatchQueue } from 'keelson/limiter';
import { backlogSignal } from 'keelson/limiter/load';
import { clientStack, serverStack } from 'keelson/stack';
import { afterAll, describe, expect, it } from 'vitest';

const app = createApp({
  service: 'orders',
  signals: false,
  endpoints: { users: ['http://127.0.0.1:1'], greeter: ['grpc://127.0.0.1:1'] },
});
afterAll(() => app.stop());

const handler = () => undefined;
/** Options that their types would not let through. */
const any = (options: object) => options as never;
class Client {}

describe('messages name options as they were written', () => {
  const anywhere = [{ retry: { attempts: 0 } }, { retry: { tries: 1 } }, { hedge: { copies: 2 } }] as const;
  const { instance } = { instance: axios.create() };
  const clients: [string, (options: object) => unknown][] = [
    ['app.fetch', (options) => app.fetch('users', any(options))],
    ['governAxios', (options) => governAxios(instance, app, any({ service: 'users', ...options }))],
    ['governedChannel', (options) => governedChannel(app, 'greeter', any(options))],
    [
      'governedClient',
      (options) => governedClient(app, any(Client), any({ service: 'greeter', ...options })),
    ],
    [
      'governedTransport',
      (options) => governedTransport(app, 'users', any({ transport: handler, ...options })),
    ],
  ];
  it.each(clients)('%s', (owner, make) => {
    for (const options of anywhere) {
      const [[field, inner]] = Object.entries(options) as [[string, object]];
      expect(() => make(options)).toThrow(`${owner}.${field}.${Object.keys(inner)[0]} `);
    }
    expect(() => make({ timeout: 5 })).toThrow(`${owner}.timeout is not an option: did you mean timeoutMs?`);
    expect(() => make({ timeoutMs: 0 })).toThrow(`${owner}.timeoutMs must be`);
    expect(() => make({ ejection: { nonsense: 1 } })).toThrow(`${owner}.ejection.nonsense is not`);
    expect(() => make({ retryBudget: { ratio: -1 } })).toThrow(`${owner}.retryBudget.ratio must be`);
    expect(() => make({ limits: [concurrency] })).toThrow(
      `${owner}.limits[0] must be a gate, got the function concurrency; call it: concurrency()`,
    );
    expect(() => make({ limits: [dispatchQueue()] })).toThrow(
      `${owner}.limits: a dispatchQueue() is no gate, since calls wait in it; its place is the option \`queue\` of a server`,
    );
    expect(() => make({ balancer: leastLoad })).toThrow(
      `${owner}.balancer must be a balancer, such as leastLoad() makes, got the function leastLoad; call it: leastLoad()`,
    );
  });

  it('those of the app where the app has said them', () => {
    const wrong = createApp({
      service: 'orders',
      endpoints: { users: ['http://127.0.0.1:1'] },
      client: { retry: { attempts: 0 } },
    });
    expect(() => wrong.fetch('users')).toThrow('createApp.client.retry.attempts must be');
    expect(() => governedTransport(wrong, 'users', { transport: any(handler) })).toThrow(
      'createApp.client.retry.attempts must be',
    );
    expect(() => wrong.fetch('users', { retry: { attempts: 11 } })).toThrow(
      'app.fetch.retry.attempts must be',
    );
    expect(() => wrong.fetch('users', { retry: false, timeoutMs: 0 })).toThrow('app.fetch.timeoutMs must be');
  });

  it.each<[object, string]>([
    [{ pool: { sockets: 1 } }, 'app.fetch.pool.sockets is not'],
    [{ bodyIdleTimeoutMs: 0 }, 'app.fetch.bodyIdleTimeoutMs must be'],
    [{ fetch: 5 }, 'app.fetch.fetch must be a function'],
    [{ routes: ['nonsense'] }, 'app.fetch.routes: "nonsense" must be'],
    [{ routes: '/x' }, 'app.fetch.routes must be an array, got "/x"'],
    [{ tied: { routes: /GET \/x/ } }, 'app.fetch.tied.routes: /GET \\/x/ fits no operation'],
    [{ tied: { delay: 1 } }, 'app.fetch.tied.delay is not an option: did you mean delayMs?'],
    [{ wire: {} }, 'app.fetch.wire is not an option'],
  ])('app.fetch with %o: %s', (options, message) => {
    expect(() => app.fetch('users', any(options))).toThrow(message);
  });

  const servers: [string, (options: object) => unknown][] = [
    ['app.listener', (options) => app.listener(handler, any(options))],
    ['governExpress', (options) => governExpress(app, any(options))],
    ['governFastify', (options) => governFastify(app, any(options))],
    ['governKoa', (options) => governKoa(app, any(options))],
    ['governHono', (options) => governHono(app, any(options))],
    ['governServer', (options) => governServer(app, any(options))],
    ['serverInterceptor', (options) => serverInterceptor(app, any(options))],
  ];
  it.each(servers)('%s', (owner, make) => {
    expect(() => make({ timeout: 5 })).toThrow(`${owner}.timeout is not an option: did you mean timeoutMs?`);
    expect(() => make({ key: 'x' })).toThrow(`${owner}.key must be a function, got "x"`);
    expect(() => make({ reportLoad: true })).toThrow(
      new RangeError(`${owner}.reportLoad must be "trusted", "always" or false, got true`),
    );
    expect(() => make({ onError: 5 })).toThrow(`${owner}.onError must be a function, got 5`);
    expect(() => make({ limits: bbr() })).toThrow(`${owner}.limits must be an array, got an object`);
    expect(() => make({ limits: [bbr] })).toThrow(
      `${owner}.limits[0] must be a gate, got the function bbr; call it: bbr()`,
    );
    expect(() => make({ limits: [dispatchQueue()] })).toThrow(
      `${owner}.limits: a dispatchQueue() is no gate, since calls wait in it; its place is the option \`queue\``,
    );
    expect(() => make({ queue: bbr() })).toThrow(
      `${owner}.queue: a gate is no queue, since nothing waits in it; its place is \`limits: […]\``,
    );
    expect(() => make({ queue: dispatchQueue })).toThrow(
      `${owner}.queue must be options, a dispatchQueue() or false, got the function dispatchQueue; call it: dispatchQueue()`,
    );
    expect(() => make({ queue: { budget: 5 } })).toThrow(
      `${owner}.queue.budget is not an option: did you mean budgetMs?`,
    );
  });

  it('of serve', () => {
    return expect(app.serve(http.createServer(), any({ prot: 80 }))).rejects.toThrow(
      'app.serve.prot is not an option: did you mean port?',
    );
  });
});

describe('what is missing is named', () => {
  const fn = () => 1;
  it.each<[string, () => unknown, string]>([
    [
      'createApp()',
      () => createApp(any(undefined as never)),
      'createApp: options must be an object, got undefined',
    ],
    ['createApp(name)', () => createApp(any('x' as never)), 'createApp: options must be an object, got "x"'],
    [
      'governExpress()',
      () => governExpress(any(undefined as never)),
      'governExpress: the first argument must be an app',
    ],
    [
      'governExpress(createApp)',
      () => governExpress(any(createApp)),
      'as createApp() makes it, got function',
    ],
    [
      'governFastify()',
      () => governFastify(any(undefined as never)),
      'governFastify: the first argument must be',
    ],
    ['governKoa()', () => governKoa(any(undefined as never)), 'governKoa: the first argument must be an app'],
    [
      'governHono()',
      () => governHono(any(undefined as never)),
      'governHono: the first argument must be an app',
    ],
    [
      'governServer()',
      () => governServer(any(undefined as never)),
      'governServer: the first argument must be an app',
    ],
    ['governServer(null)', () => governServer(app, any(null as never)), 'governServer'],
    [
      'serverInterceptor()',
      () => serverInterceptor(any(undefined as never)),
      'serverInterceptor: the first argument',
    ],
    [
      'governedChannel()',
      () => governedChannel(any(undefined as never), 'x'),
      'governedChannel: the first argument',
    ],
    [
      'governedChannel null',
      () => governedChannel(app, 'x', any(null as never)),
      'governedChannel: options must be',
    ],
    [
      'governedTransport()',
      () => governedTransport(app, 'x', any(undefined as never)),
      'governedTransport: options',
    ],
    [
      'governedClient()',
      () => governedClient(app, any(Client), any(undefined as never)),
      'governedClient: the third',
    ],
    [
      'governedClient(app)',
      () => governedClient(app, any(5 as never), 'x'),
      'governedClient: the client must be a class',
    ],
    [
      'governAxios(instance)',
      () => governAxios(axios.create(), any(undefined as never), 'x'),
      'the second argument',
    ],
    [
      'governAxios(…)',
      () => governAxios(axios.create(), app, any(undefined as never)),
      'governAxios: the third',
    ],
    ['governHandlers()', () => governHandlers(any(undefined as never)), 'governHandlers: the first argument'],
    [
      'grpcServer()',
      () => grpcServer(any(undefined as never)),
      'grpcServer: the first argument must be a server',
    ],
    [
      'addHealth()',
      () => addHealth(any(undefined as never), app),
      'addHealth: the first argument must be a server',
    ],
    [
      'governedFetch()',
      () => governedFetch(any(undefined as never), { services: {} }),
      'governedFetch: the first',
    ],
    [
      'governedFetch {}',
      () => governedFetch(fetch, any({})),
      'governedFetch.services must be an object of governed',
    ],
    ['governedFetch', () => governedFetch(fetch, any(undefined as never)), 'governedFetch.services must be'],
    [
      'governedFetch x',
      () => governedFetch(fetch, any({ users: fn })),
      'governedFetch.users is not an option',
    ],
    [
      'backlogSignal()',
      () => backlogSignal(any(undefined as never)),
      'the first argument must be a backlogMeter()',
    ],
    [
      'backlogSignal or',
      () => backlogSignal({ backlogMs: 0 }, any({ or: fn })),
      'backlogSignal.or must be a signal',
    ],
    [
      'allOf(gate)',
      () => allOf(any(sre())),
      'allOf: the first argument must be an array of gates, got an object',
    ],
    ['clientStack()', () => clientStack(any(undefined as never)), 'clientStack: options must be an object'],
    [
      'serverStack()',
      () => serverStack(any(undefined as never), fn as never),
      'serverStack: options must be',
    ],
    ['app.server()', () => app.server(any(undefined as never), fn as never), 'app.server: options must be'],
    [
      'app.client()',
      () => app.client('users', any(undefined as never)),
      'app.client: options must be an object',
    ],
    ['app.client {}', () => app.client('users', any({})), 'app.client.wire must be a wire'],
    [
      'app.listener()',
      () => app.listener(any(undefined as never)),
      'app.listener: the handler must be a function',
    ],
  ])('%s', (_call, make, message) => {
    expect(make).toThrow(TypeError);
    expect(make).toThrow(message);
  });

  it('to attempt, as a rejection, and no breaker hears of it', async () => {
    await expect(attempt(any(sre), fn)).rejects.toEqual(
      new TypeError(
        'attempt: the first argument must be a gate, such as sre() makes, got the function sre; call it: sre()',
      ),
    );
    await expect(attempt(any(undefined as never), fn)).rejects.toThrow('got undefined');
    const gate = concurrency({ limit: 1 });
    await expect(attempt(gate, any(Promise.resolve(1)))).rejects.toEqual(
      new TypeError('attempt: the second argument must be a function, got an object'),
    );
    expect(gate.snapshot(0).inflight).toBe(0);
    const fault = new TypeError('of the gate itself');
    const broken = {
      code: 'OVERLOADED' as const,
      tryAcquire: () => {
        throw fault;
      },
    };
    await expect(attempt(broken, fn)).rejects.toBe(fault);
  });

  it('a fourth argument is one too many', () => {
    const surplus =
      (make: unknown, ...given: unknown[]) =>
      () =>
        (make as (...all: unknown[]) => void)(...given);
    expect(surplus(governedClient, app, Client, 'greeter', { idempotent: true })).toThrow(
      'governedClient takes three arguments; options go with the name',
    );
    expect(surplus(governAxios, axios.create(), app, 'users', { routes: [] })).toThrow(
      'governAxios takes three arguments; options go with the name',
    );
  });
});
