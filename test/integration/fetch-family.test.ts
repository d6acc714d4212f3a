import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type App, createApp, type FetchClientOptions } from 'keelson';
import { isGovernanceError, type Outcome } from 'keelson/core';
import { type GovernedFetch, governedFetch } from 'keelson/http';
import ky, { HTTPError, TimeoutError } from 'ky';
import { createFetch, FetchError } from 'ofetch';
import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIUserAbortError } from 'openai';
import { afterEach, describe, expect, it, vi } from 'vitest';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

// Clients that take a `fetch` are given a governed one. What they do themselves (retries, timeouts, errors of their own)
// goes on around it.

type Act = (req: IncomingMessage, res: ServerResponse, body: string) => unknown;

interface Server {
  readonly url: string;
  readonly requests: { method: string; url: string; headers: http.IncomingHttpHeaders; body: string }[];
  closed: number;
}

const closers: (() => unknown)[] = [];
let app: App | undefined;

afterEach(async () => {
  // Whatever a test did, nothing of it is left. Ky neither reads nor cancels the responses that it tries again after.
  await soon(() => {
    if (inflight() > 0) collect();
    expect(inflight()).toBe(0);
  });
  app = undefined;
  for (const close of closers.splice(0).reverse()) await close();
});

const soon = (check: () => void) => vi.waitFor(check, { timeout: 10_000, interval: 5 });
const inflight = () =>
  (app?.snapshot() ?? []).flatMap(({ endpoints }) => endpoints).reduce((sum, one) => sum + one.inflight, 0);

async function serve(act: Act): Promise<Server> {
  const server: Server & { url: string } = { url: '', requests: [], closed: 0 };
  const listener = http.createServer(async (req, res) => {
    res.on('close', () => server.closed++);
    let body = '';
    for await (const part of req) body += part;
    server.requests.push({ method: req.method ?? '', url: req.url ?? '', headers: req.headers, body });
    await act(req, res, body);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  server.url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
  closers.push(() => {
    listener.closeAllConnections();
    return new Promise((resolve) => listener.close(resolve));
  });
  return server;
}

const json = (status: number, body: unknown = { status }): Act => {
  return (_req, res) =>
    res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};
const hang: Act = () => undefined;
/** The first request gets one answer, all later ones another. */
const firstly = (first: Act, then: Act): Act => {
  let count = 0;
  return (...args) => (count++ === 0 ? first : then)(...args);
};

/** A governed fetch for one service, and how its attempts ended: by their response, and by the end of their body. */
function governed(servers: readonly Server[], options: FetchClientOptions = {}) {
  const verdicts: Outcome[] = [];
  const released: Outcome[] = [];
  const gate = {
    code: 'OVERLOADED',
    tryAcquire: () => {
      let judged = false;
      const observe = (outcome: Outcome) => {
        if (!judged) verdicts.push(outcome);
        judged = true;
      };
      const release = (outcome: Outcome) => {
        observe(outcome);
        released.push(outcome);
      };
      return { observe, release };
    },
  } as const;
  const made = createApp({
    service: 'shop',
    signals: false,
    endpoints: { api: servers.map(({ url }) => url) },
  });
  app = made;
  closers.push(() => made.stop());
  const fetch = made.fetch('api', { gates: () => [gate], retry: { baseMs: 0 }, ejection: false, ...options });
  return { fetch, verdicts, released };
}
const hits = (servers: readonly Server[]) => servers.reduce((sum, { requests }) => sum + requests.length, 0);

/** Clients that say as little themselves as they can: what is tried again is tried by us. */
const clients: Record<
  string,
  (fetch: GovernedFetch) => {
    get(path: string, init?: { signal: AbortSignal }): Promise<unknown>;
    put(path: string, body: object): Promise<unknown>;
  }
> = {
  ky: (fetch) => {
    const client = ky.create({
      fetch: fetch as typeof globalThis.fetch,
      prefixUrl: 'http://api',
      retry: 0,
      timeout: false,
    });
    return {
      get: (path, init) => client.get(path, init).json(),
      put: (path, body) => client.put(path, { json: body }).json(),
    };
  },
  ofetch: (fetch) => {
    const client = createFetch({ fetch: fetch as typeof globalThis.fetch }).create({
      baseURL: 'http://api',
      retry: 0,
    });
    return {
      get: (path, init) => client(path, init),
      put: (path, body) => client(path, { method: 'PUT', body }),
    };
  },
  openai: (fetch) => {
    const client = new OpenAI({
      apiKey: 'key',
      baseURL: 'http://api',
      fetch: fetch as typeof globalThis.fetch,
      maxRetries: 0,
    });
    return {
      get: (path, init) => client.get(`/${path}`, init),
      put: (path, body) => client.put(`/${path}`, { body }),
    };
  },
};

describe.each(Object.entries(clients))('%s', (name, make) => {
  it.each<[string, Act, Outcome]>([
    ['an error', json(500), 'failure'],
    ['a lost connection', (req) => req.socket.destroy(), 'failure'],
    ['a shed call', json(429), 'overload'],
  ])('sees nothing of %s', async (_, act, outcome) => {
    let count = 0;
    const once: Act = (...args) => (count++ === 0 ? act : json(200))(...args);
    const { fetch, verdicts } = governed(await Promise.all([once, once].map(serve)));
    const client = make(fetch);
    expect(await client.get('x')).toEqual({ status: 200 });
    expect(await client.get('x')).toEqual({ status: 200 });
    await soon(() => expect(verdicts).toEqual([outcome, 'success', 'success']));
  });

  it('sends what it always sends, and what is ours besides', async () => {
    const server = await serve(json(200));
    const { fetch } = governed([server]);
    expect(await make(fetch).put('x?a=b', { n: 1 })).toEqual({ status: 200 });
    expect(server.requests).toMatchObject([
      {
        method: 'PUT',
        url: '/x?a=b',
        body: '{"n":1}',
        headers: { 'content-type': 'application/json', 'x-md-service-name': 'shop' },
      },
    ]);
  });

  it('gets the answer that stays bad, as its own error', async () => {
    const servers = await Promise.all([json(503), json(503)].map(serve));
    const { fetch } = governed(servers);
    const error = (await make(fetch)
      .get('x')
      .catch((thrown: unknown) => thrown)) as { status?: number; response?: Response };
    expect(error.status ?? error.response?.status).toBe(503);
    expect(hits(servers)).toBe(2);
    await (error.response?.bodyUsed === false ? error.response.body?.cancel() : undefined);
  });

  it('gets our refusal, or an error of its own that it caused', async () => {
    const server = await serve(hang);
    const { fetch } = governed([server], { timeoutMs: 30 });
    const error = (await make(fetch)
      .get('x')
      .catch((thrown: unknown) => thrown)) as Error;
    const refusal = [error, error.cause].find(isGovernanceError);
    expect(refusal?.code).toBe('DEADLINE_EXCEEDED');
    // Under load its time may be over before the server has heard of it.
    await soon(() => expect(server.closed).toBe(hits([server])));
  });

  it('can be aborted by its caller', async () => {
    const server = await serve(hang);
    const { fetch, released } = governed([server]);
    const controller = new AbortController();
    const running = make(fetch)
      .get('x', { signal: controller.signal })
      .catch((thrown: unknown) => thrown);
    await soon(() => expect(hits([server])).toBe(1));
    controller.abort();
    const error = (await running) as Error;
    if (name === 'openai') expect(error).toBeInstanceOf(APIUserAbortError);
    else expect((error.cause as Error | undefined)?.name ?? error.name).toBe('AbortError');
    await soon(() => expect([released, server.closed]).toEqual([['ignored'], 1]));
  });
});

describe('what the clients do themselves', () => {
  it('ky: its retries send a body again that we cannot', async () => {
    const servers = [await serve(firstly(json(503), json(200)))];
    const { fetch } = governed(servers);
    const client = ky.create({
      fetch: fetch as typeof globalThis.fetch,
      prefixUrl: 'http://api',
      retry: { limit: 1, delay: () => 1 },
    });
    expect(await client.put('x', { json: { a: 1 } }).json()).toEqual({ status: 200 });
    expect(servers[0]?.requests.map(({ body }) => body)).toEqual(['{"a":1}', '{"a":1}']);
  });

  it('ky: its hooks, which look at a copy', async () => {
    const server = await serve(json(200));
    const { fetch, released } = governed([server]);
    const seen: unknown[] = [];
    const afterResponse = [
      async (_request: Request, _options: object, copy: Response) => void seen.push(await copy.json()),
    ];
    const client = ky.create({ fetch: fetch as typeof globalThis.fetch, hooks: { afterResponse } });
    expect(await client.get('http://api/x').json()).toEqual({ status: 200 });
    expect([seen, released]).toEqual([[{ status: 200 }], ['success']]);
  });

  it('ky: its timeout and its errors', async () => {
    const slow = await serve(hang);
    const { fetch, released } = governed([slow]);
    const client = ky.create({ fetch: fetch as typeof globalThis.fetch, prefixUrl: 'http://api', retry: 0 });
    await expect(client.get('x', { timeout: 30 })).rejects.toBeInstanceOf(TimeoutError);
    await soon(() => expect([released, slow.closed]).toEqual([['ignored'], hits([slow])]));
    const missing = await serve(json(404));
    const { fetch: other } = governed([missing]);
    const error = await ky
      .get('http://api/x', { fetch: other as typeof globalThis.fetch, retry: 0 })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(HTTPError);
    expect(await (error as HTTPError).response.json()).toEqual({ status: 404 });
  });

  it('ofetch: its retries, its timeout, its errors', async () => {
    const servers = [await serve(firstly(json(503), json(200)))];
    const { fetch } = governed(servers, { retry: false });
    const client = createFetch({ fetch: fetch as typeof globalThis.fetch }).create({ baseURL: 'http://api' });
    expect(await client('x', { method: 'POST', body: { a: 1 }, retry: 1 })).toEqual({ status: 200 });
    expect(servers[0]?.requests).toHaveLength(2);
    const slow = await serve(hang);
    const { fetch: other } = governed([slow]);
    const impatient = createFetch({ fetch: other as typeof globalThis.fetch });
    await expect(impatient('http://api/x', { timeout: 30, retry: 0 })).rejects.toBeInstanceOf(FetchError);
    await soon(() => expect(slow.closed).toBe(hits([slow])));
  });

  it('openai: its retries of a POST, which we do not repeat', async () => {
    const server = await serve(firstly(json(500), json(200, { id: 'r1', object: 'response' })));
    const { fetch } = governed([server]);
    const client = new OpenAI({
      apiKey: 'key',
      baseURL: 'http://api/v1',
      fetch: fetch as typeof globalThis.fetch,
      maxRetries: 1,
    });
    expect(await client.post('/things', { body: { a: 1 } })).toMatchObject({ id: 'r1' });
    expect(server.requests.map(({ url, body }) => [url, body])).toEqual([
      ['/v1/things', '{"a":1}'],
      ['/v1/things', '{"a":1}'],
    ]);
    expect(server.requests[0]?.headers['authorization']).toBe('Bearer key');
  });

  it('openai: its timeout, and a service that cannot be found', async () => {
    const slow = await serve(hang);
    const { fetch } = governed([slow]);
    const client = new OpenAI({
      apiKey: 'key',
      baseURL: 'http://api',
      fetch: fetch as typeof globalThis.fetch,
      maxRetries: 0,
    });
    await expect(client.get('/x', { timeout: 30 })).rejects.toBeInstanceOf(APIConnectionTimeoutError);
    await soon(() => expect(slow.closed).toBe(hits([slow])));
    const { fetch: nobody } = governed([], { resolveTimeoutMs: 1 });
    const lost = new OpenAI({
      apiKey: 'key',
      baseURL: 'http://api',
      fetch: nobody as typeof globalThis.fetch,
      maxRetries: 0,
    });
    const error = await lost.get('/x').catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(APIConnectionError);
    expect(isGovernanceError((error as Error).cause)).toBe(true);
  });
});

describe('events from openai', () => {
  const chunk = (text: string) =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] })}\n\n`;
  const open: ServerResponse[] = [];
  const events: Act = (_req, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.write(chunk('one'));
    open.push(res);
  };
  const ask = { model: 'm', messages: [{ role: 'user' as const, content: 'x' }], stream: true as const };

  async function stream(options: FetchClientOptions = {}, init?: { signal: AbortSignal }) {
    open.length = 0;
    const server = await serve(events);
    const { fetch, released } = governed([server], options);
    const both = governedFetch(globalThis.fetch, { services: { llm: fetch, api: fetch } });
    const client = new OpenAI({
      apiKey: 'key',
      baseURL: 'http://api/v1',
      fetch: both as typeof globalThis.fetch,
      maxRetries: 0,
    });
    const answer = await client.chat.completions.create(ask, init);
    return { answer, server, released };
  }
  const wordOf = (part: OpenAI.ChatCompletionChunk) => part.choices[0]?.delta.content;

  it('arrive one by one, longer than any timeout, and the call is over with the last', async () => {
    const { answer, released } = await stream({ timeoutMs: 600 });
    const words: unknown[] = [];
    for await (const part of answer) {
      words.push(wordOf(part));
      expect([released, inflight()]).toEqual([[], 1]);
      if (words.length === 1) await new Promise((resolve) => setTimeout(resolve, 700));
      if (words.length < 3) open[0]?.write(chunk(words.length === 1 ? 'two' : 'three'));
      else open[0]?.end('data: [DONE]\n\n');
    }
    expect(words).toEqual(['one', 'two', 'three']);
    await soon(() => expect(released).toEqual(['success']));
  });

  it('may be left in the middle', async () => {
    const { answer, released, server } = await stream();
    for await (const part of answer) {
      expect(wordOf(part)).toBe('one');
      break;
    }
    await soon(() => expect([released, server.closed]).toEqual([['ignored'], 1]));
  });

  it('end with the abort of the caller', async () => {
    const controller = new AbortController();
    const { answer, released, server } = await stream({}, { signal: controller.signal });
    for await (const part of answer) {
      expect(wordOf(part)).toBe('one');
      controller.abort();
    }
    await soon(() => expect([released, server.closed]).toEqual([['ignored'], 1]));
  });

  it('that break off are an error to their reader, and a failure', async () => {
    const { answer, released } = await stream();
    const reading = (async () => {
      for await (const _part of answer) open[0]?.socket?.resetAndDestroy();
    })();
    await expect(reading).rejects.toThrow();
    await soon(() => expect(released).toEqual(['failure']));
  });

  it('that go silent end by the idle timeout', async () => {
    const { answer, released, server } = await stream({ bodyIdleTimeoutMs: 40 });
    const reading = (async () => {
      for await (const _part of answer);
    })();
    const error = await reading.catch((thrown: unknown) => thrown);
    expect(isGovernanceError(error) && error.code).toBe('BODY_IDLE');
    await soon(() => expect([released, server.closed]).toEqual([['failure'], 1]));
  });
});
