import axios from 'axios';
import { type AppOptions, createApp } from 'keelson';
import { governAxios } from 'keelson/axios';
import {
  type Call,
  type Connection,
  createCall,
  type Endpoint,
  type Gate,
  type Middleware,
  uncancelled,
  type Wire,
} from 'keelson/core';
import type { HttpRequest } from 'keelson/http';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

const protocol: Wire<string, string>['protocol'] = {
  classify: (response) => (response === 'good' ? 'success' : 'failure'),
  replay: (request) => request,
};

/** A wire whose calls are noted, and fail. */
function failing() {
  const tries: Endpoint[] = [];
  const wire: Wire<string, string> = {
    protocol,
    schemes: ['http'],
    connect: (endpoint): Connection<string, string> => ({
      handler: () => {
        tries.push(endpoint);
        return Promise.resolve('bad');
      },
      close: () => undefined,
    }),
  };
  return { wire, tries };
}

const call = (): Call =>
  createCall({ side: 'client', service: 'users', operation: 'ask', idempotent: true, cancel: uncancelled });

function appOf(client: AppOptions['client']) {
  const clock = manualClock();
  const endpoints = { users: ['http://10.0.0.1', 'http://10.0.0.2', 'http://10.0.0.3'] };
  return {
    clock,
    app: createApp({ service: 'shop', endpoints, client, clock, random: () => 0, signals: false }),
  };
}

/** How many tries a call of that client takes. */
async function triesOf(client: AppOptions['client'], own: object = {}) {
  const { app, clock } = appOf(client);
  const { wire, tries } = failing();
  const { handler } = app.client<string, string>('users', { wire, ...own });
  const answer = handler('x', call());
  await clock.advance(5000);
  await answer;
  await app.stop();
  return tries.length;
}

describe('what the app says of its clients', () => {
  it.each<[string, AppOptions['client'], object, number]>([
    ['nothing', undefined, {}, 2],
    ['no retry', { retry: false }, {}, 1],
    ['more tries', { retry: { attempts: 3 } }, {}, 3],
    ['more tries, and the client none', { retry: { attempts: 3 } }, { retry: false }, 1],
    ['something, and the client nothing', { retry: { attempts: 3 } }, { retry: undefined }, 3],
    ['what looks at messages of fetch', { retry: { when: () => false, onRetry: () => undefined } }, {}, 2],
  ])('holds for those of any wire: %s', async (_what, client, own, tries) => {
    expect(await triesOf(client, own)).toBe(tries);
  });

  it('middlewares for fetch see nothing of other wires', async () => {
    const seen: unknown[] = [];
    const see: Middleware<HttpRequest, Response> = (next) => {
      seen.push(next);
      return next;
    };
    expect(await triesOf({ use: [see], useAttempt: [see], retry: false })).toBe(1);
    expect(seen).toEqual([]);
  });

  it('holds for axios', async () => {
    const refuses: Gate = { code: 'RATE_LIMITED', tryAcquire: () => null };
    const { app } = appOf({ limits: [refuses] });
    const instance = governAxios(axios.create(), app, 'users');
    await expect(instance.get('/x')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    await app.stop();
  });
});

describe('a client that ties some of its operations', () => {
  it.each<[object, readonly string[]]>([
    [{ tied: { routes: '/search' } }, ['GET /search', 'GET']],
    [{ tied: { routes: ['GET /search', '/users/:id'] } }, ['GET /search', 'GET /users/:id']],
    [{ tied: { routes: '/users*' }, routes: ['/users/:name'] }, ['GET', 'GET /users/:name']],
    [{ tied: {} }, ['GET', 'GET']],
    [{ tied: false }, ['GET', 'GET']],
  ])('knows them by name, with %o', async (options, names) => {
    const { app, clock } = appOf(undefined);
    const operations: string[] = [];
    const note: Middleware<HttpRequest, Response> = (next) => (request, of) => {
      operations.push(of.operation);
      return next(request, of);
    };
    const answer = () => Promise.resolve(new Response('ok'));
    const users = app.fetch('users', { ...options, use: [note], fetch: answer });
    for (const path of ['/search', '/users/7']) {
      const response = users(path);
      await clock.advance(1);
      await response;
    }
    expect(operations).toEqual(names);
    await app.stop();
  });

  it('and by axios', async () => {
    const { app, clock } = appOf(undefined);
    const operations: string[] = [];
    const adapter = async (config: object) => ({
      data: '',
      status: 200,
      statusText: '',
      headers: {},
      config,
    });
    const instance = governAxios(axios.create({ adapter: adapter as never }), app, {
      service: 'users',
      tied: { routes: '/search' },
      use: [
        (next) => (request, of) => {
          operations.push(of.operation);
          return next(request, of);
        },
      ],
    });
    const answer = instance.get('/search');
    await clock.advance(1);
    await answer;
    expect(operations).toEqual(['GET /search']);
    await app.stop();
  });
});

describe('options of one call', () => {
  it('that there are not are named, and nothing is sent', async () => {
    const { app } = appOf(undefined);
    let sent = 0;
    const fetch = () => Promise.resolve(new Response(String(++sent)));
    const users = app.fetch('users', { fetch });
    await expect(users('/x', { keelson: { timeout: 5 } as never })).rejects.toThrow(
      'keelson.timeout is not an option: did you mean timeoutMs? There are operation, timeoutMs, ',
    );
    const instance = governAxios(axios.create(), app, 'users');
    await expect(instance.get('/x', { governance: { idempotnet: true } as never })).rejects.toThrow(
      'governance.idempotnet is not an option: did you mean idempotent?',
    );
    await expect(instance.get('/x', { governance: true as never })).rejects.toThrow(
      'governance must be an object',
    );
    expect(sent).toBe(0);
    await app.stop();
  });
});
