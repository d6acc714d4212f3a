import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, SignJWT } from 'jose';
import { type App, createApp, memory } from 'keelson';
import { bearer, claimsOf, type JwtOptions, jwt, jwtSigner, remoteJwks } from 'keelson/auth';
import { selector } from 'keelson/core';
import { httpProtocol } from 'keelson/http';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { rawClient, rawGet } from '../doubles/raw-client.js';

const closers: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const listening = async (listener: http.RequestListener) => {
  const server = http.createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  return { server, port, url: `http://127.0.0.1:${port}` };
};

interface Pair {
  readonly kid: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}
const pair = (kid: string): Pair => ({ kid, ...generateKeyPairSync('rsa', { modulusLength: 2048 }) });
const first = pair('k1');
const second = pair('k2');

const secondsFromNow = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
const issued = ({ kid, privateKey }: Pair, claims: object = {}) =>
  new SignJWT({ iss: 'id', aud: 'orders', sub: 'ada', exp: secondsFromNow(60), ...claims })
    .setProtectedHeader({ alg: 'RS256', kid })
    .sign(privateKey as never);

/** Publishes keys; which ones, and whether it answers at all, can change. */
async function issuer() {
  const state = { keys: [first] as readonly Pair[], down: false, asked: 0 };
  const { url } = await listening(async (_, res) => {
    state.asked++;
    if (state.down) {
      res.destroy();
      return;
    }
    const keys = await Promise.all(
      state.keys.map(async ({ kid, publicKey }) => ({
        ...(await exportJWK(publicKey as never)),
        kid,
        use: 'sig',
      })),
    );
    res.end(JSON.stringify({ keys }));
  });
  return { state, url: `${url}/jwks.json` };
}

const started = (service: string, registry = memory()): App => {
  const app = createApp({ service, registry, signals: false });
  closers.push(() => app.stop());
  return app;
};

/** A server of orders that lets nobody in without a token, except to ask for its health. */
async function orders(options: JwtOptions, registry = memory()) {
  const app = started('orders', registry);
  const faults: unknown[] = [];
  app.events.on('fault', ({ error }) => faults.push(error));
  const auth = jwt(options);
  const listener = app.listener((_, res) => void res.end(`hello ${claimsOf()?.sub ?? 'stranger'}`), {
    routes: ['/healthz', '/healthz/*', '/orders/:id'],
    use: [selector({ except: ['/health*'], use: [auth] })],
  });
  const { url } = await app.serve(http.createServer(listener), { host: '127.0.0.1' });
  const get = async (path: string, token?: string) => {
    const response = await fetch(
      url + path,
      token === undefined ? {} : { headers: { authorization: token } },
    );
    return {
      status: response.status,
      challenge: response.headers.get('www-authenticate'),
      body: await response.text(),
    };
  };
  return { app, url, get, faults, registry };
}

/** What a server answers to a header as it stands, also one that no client library would send. */
async function exchanged(url: string, authorization: string): Promise<string> {
  const client = await rawClient(Number(new URL(url).port));
  closers.push(() => void client.socket.destroy());
  client.socket.write(rawGet('/orders/1', { authorization }), 'latin1');
  return client.until('\r\n\r\n');
}

const inflight = (app: App) =>
  app.snapshot().flatMap(({ endpoints }) => endpoints.map((endpoint) => endpoint.inflight));

describe('a server that verifies tokens', () => {
  it('lets in who has a good one, and tells the others how', async () => {
    const id = await issuer();
    const { get, url, faults } = await orders({ jwks: id.url, issuer: 'id', audience: 'orders' });
    const good = `Bearer ${await issued(first)}`;
    expect(await get('/orders/1', good)).toEqual({ status: 200, challenge: null, body: 'hello ada' });
    expect(await get('/orders/1', good.replace('Bearer', 'bEARER'))).toMatchObject({ status: 200 });
    expect(await get('/orders/1')).toEqual({
      status: 401,
      challenge: 'Bearer',
      body: 'UNAUTHENTICATED\na token is required\n',
    });
    expect(await get('/healthz')).toMatchObject({ status: 200, body: 'hello stranger' });
    // What another reader of the path would take for something else is not what it seems to be here.
    for (const path of ['/healthz/../orders/1', '/healthz/%2e%2e/orders/1', '/healthz\\..\\orders\\1']) {
      const client = await rawClient(Number(new URL(url).port));
      closers.push(() => void client.socket.destroy());
      client.socket.write(rawGet(path, {}));
      expect(await client.until('\r\n\r\n'), path).toMatch(/^HTTP\/1.1 401 /);
    }
    // What routing does not know has no name, and is protected all the same.
    expect(await get('/elsewhere')).toMatchObject({ status: 401 });
    expect(await get('/orders/1', `Bearer ${await issued(first, { exp: secondsFromNow(-60) })}`)).toEqual({
      status: 401,
      challenge: 'Bearer error="invalid_token", error_description="the token has expired"',
      body: 'UNAUTHENTICATED\nthe token has expired\n',
    });
    expect(id.state.asked).toBe(1);
    expect(faults).toEqual([]);
  });

  it('refuses forgeries of every kind', async () => {
    const id = await issuer();
    const { get, url, faults } = await orders({ jwks: id.url });
    const head = (header: object) => Buffer.from(JSON.stringify(header)).toString('base64url');
    const payload = head({ sub: 'ada', exp: secondsFromNow(60) });
    const pem = await exportSPKI(first.publicKey as never);
    const body = `${head({ alg: 'HS256', kid: 'k1' })}.${payload}`;
    const [, goodPayload, signature] = (await issued(first)).split('.');
    const forgeries = [
      `${head({ alg: 'none' })}.${payload}.`,
      `${head({ alg: 'none' })}.${payload}.AAAA`,
      `${body}.${createHmac('sha256', pem).update(body).digest('base64url')}`,
      `${head({ alg: 'RS256', kid: 'k1' })}.${payload}.${signature}`,
      `${head({ alg: 'RS256', kid: 'k1', jwk: {} })}.${goodPayload}.${signature}`,
      await issued({ ...second, kid: 'k1' }),
      await issued(second),
      'x'.repeat(12_000),
      'a.b.c',
    ];
    for (const forgery of forgeries)
      expect(await get('/orders/1', `Bearer ${forgery}`), forgery.slice(0, 80)).toMatchObject({
        status: 401,
      });
    // What no client library would send.
    const raw = await exchanged(url, 'Bearer caf\u00e9.\u00ff.x');
    expect(raw).toMatch(/^HTTP\/1.1 401 /);
    expect(faults).toEqual([]);
  });

  it('follows keys that rotate, and goes on while the issuer is away', async () => {
    const id = await issuer();
    const jwks = remoteJwks(id.url, { refreshMs: 1, cooldownMs: 1 });
    const { get } = await orders({ jwks, cacheMs: 0 });
    const [old, fresh] = await Promise.all([issued(first), issued(second)]).then((all) =>
      all.map((one) => `Bearer ${one}`),
    );
    const status = async (token: string | undefined) => (await get('/orders/1', token)).status;
    expect([await status(old), await status(fresh)]).toEqual([200, 401]);
    id.state.keys = [first, second];
    await vi.waitFor(async () => expect(await status(fresh)).toBe(200));
    expect(await status(old)).toBe(200);
    id.state.keys = [second];
    await vi.waitFor(async () => expect(await status(old)).toBe(401));
    id.state.down = true;
    for (let i = 0; i < 5; i++) expect(await status(fresh)).toBe(200);
    // Whether this key is new cannot be told now.
    await vi.waitFor(async () => expect(await status(old)).toBe(503));
    id.state.down = false;
    await vi.waitFor(async () => expect(await status(old)).toBe(401));
  });

  it('says that it cannot tell when it never got keys, and asks the issuer seldom', async () => {
    const id = await issuer();
    id.state.down = true;
    const { get, faults } = await orders({ jwks: id.url });
    const token = `Bearer ${await issued(first)}`;
    for (let i = 0; i < 20; i++) {
      const { status, body, challenge } = await get('/orders/1', token);
      expect([status, body, challenge]).toEqual([503, 'AUTH_UNAVAILABLE\n', null]);
    }
    expect(id.state.asked).toBeLessThan(20);
    id.state.down = false;
    await vi.waitFor(async () => expect((await get('/orders/1', token)).status).toBe(200), {
      timeout: 10_000,
      interval: 100,
    });
    expect(faults).toEqual([]);
  });
});

describe('a client that shows tokens', () => {
  it('signs its own, which the other end verifies', async () => {
    const { registry } = await orders({
      publicKey: await exportSPKI(first.publicKey as never),
      algorithms: ['RS256'],
      audience: 'orders',
    });
    const shop = started('shop', registry);
    const privateKey = first.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const token = vi.fn(
      jwtSigner({ privateKey, algorithm: 'RS256', issuer: 'shop', subject: 'shop', audience: 'orders' }),
    );
    const ask = shop.fetch('orders', { useAttempt: [bearer({ token, protocol: httpProtocol })] });
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, at) => (await ask(`/orders/${at}`)).text()),
    );
    expect(new Set(answers)).toEqual(new Set(['hello shop']));
    expect(token).toHaveBeenCalledTimes(1);
    expect(inflight(shop)).toEqual([0]);
  });

  it('renews a token that was taken back, and sends once more what can be sent twice', async () => {
    const state = { valid: 't1', bodies: [] as string[] };
    const registry = memory();
    const users = started('users', registry);
    await users.serve(
      http.createServer(
        users.listener(async (req, res) => {
          let body = '';
          for await (const chunk of req) body += String(chunk);
          state.bodies.push(body);
          res.statusCode = req.headers.authorization === `Bearer ${state.valid}` ? 200 : 401;
          res.end(`${req.headers.authorization}`);
        }),
      ),
      { host: '127.0.0.1' },
    );
    const shop = started('shop', registry);
    let count = 0;
    const token = vi.fn(async () => `t${++count}`);
    const ask = shop.fetch('users', { useAttempt: [bearer({ token, protocol: httpProtocol })] });
    expect(await (await ask('/a')).text()).toBe('Bearer t1');
    state.valid = 't2';
    const posted = await ask('/a', { method: 'POST', body: 'order' });
    expect([posted.status, await posted.text()]).toEqual([200, 'Bearer t2']);
    expect(state.bodies).toEqual(['', 'order', 'order']);
    state.valid = 't3';
    const stream = new Blob(['stream']).stream();
    const refused = await ask('/a', { method: 'POST', body: stream, duplex: 'half' } as RequestInit);
    expect(refused.status).toBe(401);
    await refused.text();
    expect(state.bodies.at(-1)).toBe('stream');
    await vi.waitFor(() => expect(inflight(shop)).toEqual([0]));
  });

  it('shows nothing to another origin, and all to its own when sent on', async () => {
    const seen: (string | undefined)[] = [];
    const elsewhere = await listening((req, res) => {
      seen.push(req.headers.authorization);
      res.end('elsewhere');
    });
    const registry = memory();
    const users = started('users', registry);
    await users.serve(
      http.createServer(
        users.listener((req, res) => {
          const location = req.url === '/away' ? elsewhere.url : req.url === '/own' ? '/end' : undefined;
          if (location !== undefined) res.writeHead(302, { location });
          res.end(String(req.headers.authorization));
        }),
      ),
      { host: '127.0.0.1' },
    );
    const shop = started('shop', registry);
    const shown = bearer({ token: 'secret-token' });
    const ask = shop.fetch('users', { useAttempt: [shown] });
    expect(await (await ask('/away')).text()).toBe('elsewhere');
    expect(seen).toEqual([undefined]);
    expect(await (await ask('/own')).text()).toBe('Bearer secret-token');
    expect(inflight(shop)).toEqual([0]);
  });

  it('without a token refuses its calls and blames nobody', async () => {
    const { registry } = await orders({ secret: 's'.repeat(32) });
    const shop = started('shop', registry);
    const breakers: unknown[] = [];
    shop.events.on('breaker', (event) => breakers.push(event));
    shop.events.on('ejection', (event) => breakers.push(event));
    let broken = true;
    const token = () => {
      if (broken) throw new Error('login is down');
      return 'any';
    };
    const ask = shop.fetch('orders', { useAttempt: [bearer({ token, protocol: httpProtocol })] });
    for (let i = 0; i < 100; i++)
      await expect(ask('/orders/1')).rejects.toMatchObject({
        code: 'AUTH_UNAVAILABLE',
        side: 'client',
        cause: { message: 'login is down' },
      });
    expect([breakers, inflight(shop)]).toEqual([[], [0]]);
    broken = false;
    await vi.waitFor(async () => expect((await ask('/healthz')).status).toBe(200), {
      timeout: 10_000,
      interval: 100,
    });
  });

  it('is not held up past its own deadline by a token that does not come', async () => {
    const { registry } = await orders({ secret: 's'.repeat(32) });
    const shop = started('shop', registry);
    const token = () => new Promise<string>(() => undefined);
    const ask = shop.fetch('orders', { timeoutMs: 50, useAttempt: [bearer({ token })] });
    await expect(ask('/orders/1')).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await vi.waitFor(() => expect(inflight(shop)).toEqual([0]));
  });
});
