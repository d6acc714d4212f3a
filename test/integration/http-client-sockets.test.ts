import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCall, type Outcome } from 'keelson/core';
import { connectFetch, type FetchWireOptions, fetchWire, httpProtocol, toFetch } from 'keelson/http';
import * as undici from 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const listen = async (server: Server, host = '127.0.0.1') => {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
};

/** undici frees a connection a moment after the body was read; a call in that moment opens another. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

const endpoint = (url: string) => ({ id: url, url, weight: 100, metadata: {} });
const get = { method: 'GET', path: '/', init: undefined };
const call = () => createCall({ side: 'client', service: 'users', operation: 'GET' });

/** One call straight to an endpoint, read to its end. */
const once = async (url: string, options?: FetchWireOptions) => {
  const connection = connectFetch(endpoint(url), options);
  closers.push(() => connection.close());
  return (await connection.handler(get, call())).text();
};

describe('TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keelson-tls-'));
  const pem = (name: string) => readFileSync(join(folder, name));
  let key: Buffer;
  let cert: Buffer;

  beforeAll(() => {
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
        '-keyout',
        join(folder, 'key.pem'),
        '-out',
        join(folder, 'cert.pem'),
        '-subj',
        '/CN=users.internal',
        '-addext',
        'subjectAltName=DNS:users.internal',
      ],
      { stdio: 'ignore' },
    );
    [key, cert] = [pem('key.pem'), pem('cert.pem')];
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const secure = async (options: https.ServerOptions = {}) => {
    const server = https.createServer({ key, cert, ...options }, (req, res) => {
      const { servername } = req.socket as Socket & { servername?: string };
      const peer = (req.socket as import('node:tls').TLSSocket).getPeerCertificate();
      res.end(JSON.stringify({ servername, peer: peer.subject?.CN }));
    });
    return `https://127.0.0.1:${(await listen(server)).port}`;
  };

  it('checks the certificate of an IP address by the name it is told', async () => {
    const url = await secure();
    expect(JSON.parse(await once(url, { tls: { servername: 'users.internal', ca: cert } }))).toEqual({
      servername: 'users.internal',
    });
    await expect(once(url, { tls: { servername: 'orders.internal', ca: cert } })).rejects.toMatchObject({
      cause: { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    });
  });

  it('trusts no certificate that signs itself, which is a failure of the callee', async () => {
    const error = await once(await secure(), { tls: { servername: 'users.internal' } }).catch(
      (e: unknown) => e,
    );
    expect(error).toMatchObject({ cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' } });
    expect(httpProtocol.classify(undefined, error)).toBe('failure');
  });

  it('shows a certificate of its own', async () => {
    const url = await secure({ requestCert: true, ca: cert });
    const tls = { servername: 'users.internal', ca: cert };
    expect(JSON.parse(await once(url, { tls: { ...tls, cert, key } })).peer).toBe('users.internal');
    await expect(once(url, { tls })).rejects.toThrow(TypeError);
  });

  it('works by the undici package as well', async () => {
    const tls = { servername: 'users.internal', ca: cert };
    expect(JSON.parse(await once(await secure(), { undici, tls }))).toEqual({ servername: 'users.internal' });
  });

  it('gives up on a handshake that is never answered', async () => {
    const { port } = await listen(net.createServer());
    const error = await once(`https://127.0.0.1:${port}`, {
      tls: { servername: 'users.internal' },
      pool: { connectTimeoutMs: 50 },
    }).catch((e: unknown) => e);
    expect(error).toMatchObject({ cause: { code: 'UND_ERR_CONNECT_TIMEOUT' } });
    expect(httpProtocol.classify(undefined, error)).toBe('failure');
  });
});

describe.each([
  ['of the platform', {}],
  ['of the undici package', { undici }],
] as [string, FetchWireOptions][])('connections %s', (_, base) => {
  const hello = async () => {
    const server = http.createServer((__, res) => res.end('hello'));
    const { port, sockets } = await listen(server);
    let connections = 0;
    server.on('connection', () => connections++);
    return { url: `http://127.0.0.1:${port}`, sockets, connections: () => connections };
  };

  it('are kept for the next call, and belong to one endpoint', async () => {
    const { url, connections } = await hello();
    const wire = fetchWire(base);
    const [a, b] = [wire.connect(endpoint(url)), wire.connect(endpoint(url))];
    closers.push(
      () => a.close(),
      () => b.close(),
    );
    for (let i = 0; i < 3; i++) {
      expect(await (await a.handler(get, call())).text()).toBe('hello');
      await settled();
    }
    expect(connections()).toBe(1);
    await (await b.handler(get, call())).text();
    expect(connections()).toBe(2);
  });

  it('are closed when the endpoint has left', async () => {
    const { url, sockets } = await hello();
    const [left, stays] = [connectFetch(endpoint(url), base), connectFetch(endpoint(url), base)];
    await (await left.handler(get, call())).text();
    await (await stays.handler(get, call())).text();
    expect(sockets.size).toBe(2);
    left.close();
    await vi.waitFor(() => expect(sockets.size).toBe(1));
    expect(await (await stays.handler(get, call())).text()).toBe('hello');
    stays.close();
    await vi.waitFor(() => expect(sockets.size).toBe(0));
  });

  it('finish a response that is still read when the endpoint leaves', async () => {
    let res!: http.ServerResponse;
    const { port, sockets } = await listen(
      http.createServer((__, r) => {
        res = r;
        r.write('a');
      }),
    );
    const connection = connectFetch(endpoint(`http://127.0.0.1:${port}`), base);
    const response = await connection.handler(get, call());
    connection.close();
    connection.close();
    res.end('b');
    expect(await response.text()).toBe('ab');
    await vi.waitFor(() => expect(sockets.size).toBe(0));
  });

  it('are no more than allowed', async () => {
    let most = 0;
    const { port, sockets } = await listen(
      http.createServer((__, res) => {
        most = Math.max(most, sockets.size);
        setImmediate(() => res.end('hello'));
      }),
    );
    const connection = connectFetch(endpoint(`http://127.0.0.1:${port}`), {
      ...base,
      pool: { maxConnections: 2 },
    });
    closers.push(() => connection.close());
    await Promise.all(Array.from({ length: 20 }, async () => (await connection.handler(get, call())).text()));
    expect(most).toBe(2);
  });

  it('that break as they are used again fail the call visibly', async () => {
    // The race of every kept connection: the server closes while the next request is on its way.
    let connections = 0;
    const server = net.createServer((socket) => {
      connections++;
      let requests = 0;
      socket.on('data', () => {
        requests++;
        if (requests === 1)
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok');
        else socket.resetAndDestroy();
      });
    });
    const { port } = await listen(server);
    const connection = connectFetch(endpoint(`http://127.0.0.1:${port}`), base);
    closers.push(() => connection.close());
    expect(await (await connection.handler(get, call())).text()).toBe('ok');
    await settled();
    const outcomes: Outcome[] = [];
    const error = await connection.handler(get, call()).catch((e: unknown) => e);
    outcomes.push(httpProtocol.classify(undefined, error));
    expect(connections).toBe(1);
    expect(error).toMatchObject({
      name: 'TypeError',
      cause: { code: expect.stringMatching(/ECONNRESET|UND_ERR_SOCKET/) },
    });
    expect(outcomes).toEqual(['failure']);
    expect(await (await connection.handler(get, call())).text()).toBe('ok');
    expect(connections).toBe(2);
  });
});

describe('a fetch of another implementation', () => {
  it('has its bodies watched and its redirects followed too', async () => {
    const { port } = await listen(
      http.createServer((req, res) => {
        if (req.url === '/old') res.writeHead(302, { location: '/new' }).end();
        else res.end('hello');
      }),
    );
    const connection = connectFetch(endpoint(`http://127.0.0.1:${port}`), { undici });
    closers.push(() => connection.close());
    const response = await toFetch(connection.handler, { service: 'users' })('/old');
    expect(response).toBeInstanceOf(undici.Response);
    expect([response.redirected, new URL(response.url).pathname]).toEqual([true, '/new']);
    const ends: Outcome[] = [];
    expect(httpProtocol.onEnd?.(response, (end) => ends.push(end))).toBe(true);
    const copy = response.clone();
    expect([copy.redirected, copy.url]).toEqual([true, response.url]);
    let text = '';
    for await (const part of response.body as ReadableStream<Uint8Array>)
      text += Buffer.from(part).toString();
    expect([text, ends]).toEqual(['hello', ['success']]);
    expect(await copy.text()).toBe('hello');
  });
});

describe('a mock of the platform', () => {
  it('goes before our connections', async () => {
    const slot = Symbol.for('undici.globalDispatcher.1');
    const holder = globalThis as unknown as Record<symbol, object | undefined>;
    void globalThis.Response;
    const version = Number.parseInt(process.versions['undici'] ?? '', 10);
    // The package of version 7 mocks the platform up to version 7; later ones have a slot that it does not know.
    if (version >= 8) return expect(holder[Symbol.for('undici.globalDispatcher.2')]).toBeDefined();
    const usual = holder[slot];
    const mock = new undici.MockAgent();
    mock.disableNetConnect();
    mock.get('http://127.0.0.1:8099').intercept({ path: '/' }).reply(200, 'mocked');
    holder[slot] = mock;
    try {
      expect(await once('http://127.0.0.1:8099')).toBe('mocked');
    } finally {
      holder[slot] = usual;
      await mock.close();
    }
  });
});
