import { readFileSync } from 'node:fs';
import https from 'node:https';
import tls from 'node:tls';
import { discovery } from 'keelson/discovery';
import {
  createRegistry,
  type RegistryEvent,
  type RegistryOptions,
  type RegistryServer,
} from 'keelson/registry';
import { manualClock } from 'keelson/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Authority, type CertificateFiles } from '../doubles/certificates.js';
import { freePort } from '../doubles/free-port.js';

const running: RegistryServer[] = [];
afterEach(async () => {
  for (const registry of running.splice(0)) await registry.close();
});

async function start(options: RegistryOptions = {}) {
  const events: RegistryEvent[] = [];
  const registry = createRegistry({
    listen: '127.0.0.1:0',
    onEvent: (event) => events.push(event),
    ...options,
  });
  running.push(registry);
  const { url, port, advertisedUrl } = await registry.listen();
  const told = (name: string) => events.filter((event) => event.name === name).map(({ fields }) => fields);
  return { registry, events, told, url, port, advertisedUrl };
}

const id = { zone: 'z', env: 'e', appid: 'a', hostname: 'h' };
const instance = { ...id, status: '1', addrs: 'http://a:1' };
const token = 'a-token.of_24~characters';
const other = 'another+token/of-24-chars';

async function ask(url: string, path: string, init: RequestInit = {}) {
  const response = await fetch(`${url}${path}`, init);
  const text = await response.text();
  let json: { code?: number; message?: string } = {};
  try {
    json = JSON.parse(text);
  } catch {
    // Not every path answers JSON.
  }
  return { status: response.status, headers: response.headers, text, json };
}
const post = (url: string, path: string, values: Record<string, string>, headers = {}) =>
  ask(url, `/discovery/${path}`, { method: 'POST', body: new URLSearchParams(values), headers });
const bearer = (shown: string) => ({ authorization: `Bearer ${shown}` });

describe('a token', () => {
  it.each([
    ['none', {}],
    ['another', bearer('wrong-token-of-24-chars!')],
    ['the beginning of it', bearer(token.slice(0, -1))],
    ['more than it', bearer(`${token}x`)],
    ['it as a password', { authorization: `Basic ${btoa(`x:${token}`)}` }],
    ['it without a scheme', { authorization: token }],
  ])('is needed by every path but those for probes: %s is 401, and changes nothing', async (_, headers) => {
    const { registry, url } = await start({ token });
    for (const path of ['register', 'renew', 'cancel', 'set', 'peer/merge']) {
      const { status, json, headers: answered } = await post(url, path, instance, headers);
      expect({ path, status, code: json.code }).toEqual({ path, status: 401, code: -401 });
      expect(answered.get('www-authenticate')).toBe('Bearer');
      expect(JSON.stringify(json)).not.toContain(token);
    }
    for (const path of ['/discovery/fetch/all', '/discovery/nodes', '/discovery/polls?', '/metrics'])
      expect((await ask(url, path, { headers })).status).toBe(401);
    for (const path of ['/healthz', '/readyz']) expect((await ask(url, path, { headers })).status).toBe(200);
    expect(registry.stats().instances).toBe(0);
  });

  it('lets in whoever shows one of them, and the log says which', async () => {
    const { url, told } = await start({ token: { ops: token, deploy: other } });
    expect((await post(url, 'register', instance, bearer(token))).json.code).toBe(0);
    expect((await post(url, 'set', { ...id, status: '2' }, bearer(other))).json.code).toBe(0);
    expect((await post(url, 'cancel', id, { authorization: `bearer   ${other}` })).json.code).toBe(0);
    const caller = '127.0.0.1';
    expect(told('registered')).toEqual([{ ...id, outcome: 'added', status: 1, caller, token: 'ops' }]);
    expect(told('changed')).toEqual([{ ...id, hosts: 1, caller, token: 'deploy' }]);
    expect(told('cancelled')).toEqual([{ ...id, caller, token: 'deploy' }]);
  });

  it('is for writing alone where reads are open', async () => {
    const { url } = await start({ token, openReads: true });
    expect((await ask(url, '/discovery/nodes')).json.code).toBe(0);
    expect((await ask(url, '/metrics')).status).toBe(200);
    expect((await post(url, 'register', instance)).status).toBe(401);
  });

  it.each([
    [{ token: '' }, RangeError, /16 characters/],
    [{ token: 'short' }, RangeError, /16 characters/],
    [{ token: 'sixteen chars and spaces' }, RangeError, /must consist of/],
    [{ token: 'sixteen-chars-then\r\nx-evil: 1' }, RangeError, /must consist of/],
    [{ token: {} }, RangeError, /must not be empty/],
    [{ token: { ops: 12 } }, TypeError, /token\.ops must be a string/],
    [{ token: { ops: token, 2: other } }, RangeError, /names that are not empty, nor of digits alone/],
    [{ token: { '': token } }, RangeError, /names that are not empty/],
    [{ token: { ops: token, deploy: token } }, RangeError, /one token under two names/],
    [{ token, nodeTokens: [] }, RangeError, /nodeTokens must not be empty/],
    [{ token, nodeTokens: ['default', token] }, RangeError, /nodeTokens: number 2 is not the name/],
    [{ token: { ops: token }, nodeTokens: ['default'] }, RangeError, /nodeTokens: number 1 is not the name/],
    [{ nodeTokens: ['default'] }, RangeError, /there is no token/],
    [{ token, nodeTokens: 'default' }, TypeError, /nodeTokens must be a list of strings/],
    [{ token: 12 }, TypeError, /must be a string/],
    [{ openReads: 'yes' }, TypeError, /openReads/],
    [{ limits: { requestsPerSecond: 0 } }, RangeError, /requestsPerSecond/],
  ])('%j is refused, and not repeated', (options, kind, message) => {
    const make = () => createRegistry(options as RegistryOptions);
    expect(make).toThrow(kind);
    expect(make).toThrow(message);
    expect(make).not.toThrow(token);
  });

  it('is shown by the client of the discovery protocol, to whom it can be a refusal', async () => {
    const { url } = await start({ token });
    const client = discovery({ nodes: [url], zone: 'z', env: 'e', token });
    const refused = discovery({ nodes: [url], zone: 'z', env: 'e' });
    const service = {
      id: 'i1',
      service: 'users',
      hostname: 'h',
      addresses: ['http://10.0.0.1:80'],
      version: '',
      zone: 'z',
      env: 'e',
      region: '',
      weight: 100,
      status: 'up',
      metadata: {},
    } as const;
    await client.register(service);
    const found: number[] = [];
    client.watch('users', ({ instances }) => found.push(instances.length));
    await vi.waitFor(() => expect(found.at(-1)).toBe(1));
    await expect(refused.register(service)).rejects.toThrow(/-401/);
    await Promise.all([client.close(), refused.close()]);
    expect(() => discovery({ nodes: [url], token: 'a\r\nb' })).toThrow(/discovery\.token must consist of/);
  });

  it('is shown by the nodes of a cluster to each other', async () => {
    const quick = { token, compareIntervalMs: 200 };
    const first = await start({ ...quick, peers: [] });
    const second = await start({ ...quick, peers: [`127.0.0.1:${first.port}`] });
    await post(first.url, 'register', instance, bearer(token));
    await vi.waitFor(() => expect(second.registry.stats().instances).toBe(1), 8_000);
    const stranger = await start({ peers: [`127.0.0.1:${first.port}`], compareIntervalMs: 200 });
    await vi.waitFor(
      () => expect(stranger.registry.stats().peers).toMatchObject([{ status: 'lost' }]),
      8_000,
    );
    expect(stranger.registry.stats().instances).toBe(0);
  });
});

describe('the token of the nodes', () => {
  it('is changed node by node, and all the time they are a cluster', async () => {
    const peers = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const nodes: RegistryServer[] = [];
    const run = async (at: number, options: RegistryOptions) => {
      await nodes[at]?.close();
      const listen = peers[at];
      nodes[at] = (await start({ ...options, listen, peers, compareIntervalMs: 100, env: 'e' })).registry;
    };
    const both = { old: token, new: other };
    let round = 0;
    for (const options of [
      { token: { old: token } },
      { token: both, nodeTokens: ['old', 'new'] },
      { token: both, nodeTokens: ['new', 'old'] },
      { token: { new: other } },
    ])
      for (const at of [0, 1]) {
        await run(at, options);
        if (nodes.length < 2) continue;
        for (const node of nodes)
          await vi.waitFor(() => expect(node.stats().peers).toMatchObject([{ status: 'up' }]), 8_000);
        const written = new URLSearchParams({ ...instance, hostname: `h${round++}` });
        await nodes[at]?.ask('POST', '/discovery/register', written);
        await vi.waitFor(
          // The other node is one as well.
          () => expect(nodes.map((node) => node.stats().instances)).toEqual([round + 1, round + 1]),
          8_000,
        );
      }
  }, 20_000);

  it('may be any of those that are named, and only those', async () => {
    const { url } = await start({ token: { ops: token, nodes: other }, nodeTokens: ['nodes'], peers: [] });
    const digest = (shown: string) => ask(url, '/discovery/peer/digest', { headers: bearer(shown) });
    expect([(await digest(token)).status, (await digest(other)).status]).toEqual([403, 200]);
  });
});

describe('one client', () => {
  it('is slowed down alone, before its token is looked at', async () => {
    const clock = manualClock();
    const { url, port, told } = await start({ clock, token, limits: { requestsPerSecond: 5 } });
    const codes = async (count: number, base = url) => {
      const found: (number | undefined)[] = [];
      for (let round = 0; round < count; round++)
        found.push((await post(base, 'renew', id, bearer(token))).json.code);
      return found;
    };
    expect(await codes(7)).toEqual([-404, -404, -404, -404, -404, -509, -509]);
    expect(
      (await post(url, 'register', instance, bearer('a-wrong-token-of-some-length'))).json,
    ).toMatchObject({
      code: -509,
      message: 'this registry takes 5 requests a second of one client at most',
    });
    expect(told('refused')).toMatchObject([{ write: 'register', code: -509, caller: '127.0.0.1' }]);
    // All of 127/8 is this machine: another address is another client.
    const elsewhere = await new Promise<string>((resolve, reject) => {
      const headers = bearer(token);
      const request = (host: string) =>
        import('node:http').then(({ default: http }) =>
          http
            .get({ host, port, path: '/discovery/nodes', localAddress: '127.0.0.9', headers }, (response) => {
              response.on('data', (chunk) => resolve(String(chunk)));
            })
            .on('error', reject),
        );
      void request('127.0.0.1');
    });
    expect(elsewhere).toContain('"code":0');
    expect((await ask(url, '/healthz')).status).toBe(200);
    clock.advanceSync(200);
    expect(await codes(2)).toEqual([-404, -509]);
  });
});

describe('what a request brings', () => {
  it('cannot reach a prototype, a header, a path or another line of the log', async () => {
    const { url, registry, told } = await start();
    const metadata = '{"__proto__":{"polluted":1},"constructor":"x","toString":"y"}';
    await post(url, 'register', { ...instance, hostname: '__proto__', metadata });
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    const { text } = await ask(url, '/discovery/fetch?env=e&appid=a&status=1');
    expect(text).toContain('"metadata":{"__proto__":"","constructor":"x","toString":"y"}');
    for (const appid of [
      '__proto__',
      'constructor',
      'hasOwnProperty',
      '../../etc/passwd',
      'a%0d%0ax-evil:%201',
    ])
      expect((await post(url, 'register', { ...instance, appid })).json.code).toBe(0);
    const all = await ask(url, '/discovery/fetch/all');
    expect(all.headers.get('x-evil')).toBeNull();
    expect(Object.keys(JSON.parse(all.text).data)).toEqual(
      expect.arrayContaining(['__proto__', 'constructor', 'hasOwnProperty', '../../etc/passwd']),
    );
    expect((await post(url, 'register', { ...instance, hostname: 'h\r\nx-evil: 1' })).json.code).toBe(-400);
    expect(told('refused')).toEqual([
      {
        write: 'register',
        code: -400,
        reason: 'hostname: holds a control character',
        ...{ env: 'e', appid: 'a', zone: 'z', hostname: 'h\r\nx-evil: 1', caller: '127.0.0.1' },
      },
    ]);
    for (const path of [
      '/discovery/../metrics',
      '/discovery//fetch',
      '/Discovery/nodes',
      '/discovery/nodes/',
    ])
      expect((await rawGet(url, path)).startsWith('HTTP/1.1 404')).toBe(true);
    expect(registry.stats().instances).toBe(6);
  });

  it('leaves one line for each write, whatever becomes of it, and none for renewals', async () => {
    const { url, events } = await start();
    await post(url, 'register', instance);
    await post(url, 'register', { ...instance, status: '7' });
    await post(url, 'renew', id);
    await post(url, 'set', { ...id, hostname: 'unknown', status: '2' });
    await post(url, 'cancel', id);
    await post(url, 'cancel', id);
    const told = events.slice(1).map(({ name, fields }) => [name, fields['write'], fields['code']]);
    expect(told).toEqual([
      ['registered', undefined, undefined],
      ['refused', 'register', -400],
      ['refused', 'set', -400],
      ['cancelled', undefined, undefined],
      ['refused', 'cancel', -404],
    ]);
    for (const { fields } of events.slice(1)) expect(fields['caller']).toBe('127.0.0.1');
  });
});

async function rawGet(url: string, path: string): Promise<string> {
  const { default: net } = await import('node:net');
  const { port } = new URL(url);
  return await new Promise((resolve, reject) => {
    const socket = net.connect(Number(port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
    socket.end(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
  });
}

describe('TLS', () => {
  let authority: Authority;
  let server: CertificateFiles;
  let client: CertificateFiles;
  beforeAll(() => {
    authority = new Authority();
    server = authority.issue('registry');
    client = authority.issue('users');
  });
  afterAll(() => authority.remove());
  const pem = (path: string) => readFileSync(path, 'utf8');

  it('is spoken alone, with a certificate, and the client of the protocol follows', async () => {
    const { url, advertisedUrl, port } = await start({ tls: server, env: 'e' });
    expect([url, advertisedUrl]).toEqual([`https://127.0.0.1:${port}`, `https://127.0.0.1:${port}`]);
    await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow();
    const registry = discovery({ nodes: [url], tls: { ca: pem(authority.ca) }, zone: 'z', env: 'e' });
    const nodes: (readonly string[])[] = [];
    registry.watch('infra.discovery', ({ instances }) =>
      nodes.push(instances.flatMap((one) => one.addresses)),
    );
    await vi.waitFor(() => expect(nodes.at(-1)).toEqual([url]));
    await registry.close();
    expect(() => discovery({ nodes: [url], tls: { cert: 'x' } })).toThrow(/discovery\.tls/);
  });

  it('with an authority takes only who has a certificate from it, and the log names that', async () => {
    const { url, told } = await start({ tls: { ...server, ca: authority.ca } });
    const ask = (more: object) =>
      new Promise<string>((resolve, reject) => {
        const body = new URLSearchParams(instance).toString();
        const headers = { 'content-type': 'application/x-www-form-urlencoded' };
        const options = { method: 'POST', ca: pem(authority.ca), headers, agent: false, ...more };
        const request = https.request(`${url}/discovery/register`, options, (response) => {
          response.on('data', (chunk) => resolve(String(chunk)));
        });
        request.on('error', reject).end(body);
      });
    await expect(ask({})).rejects.toThrow();
    const stranger = new Authority('stranger');
    const forged = stranger.issue('users');
    await expect(ask({ cert: pem(forged.cert), key: pem(forged.key) })).rejects.toThrow();
    stranger.remove();
    expect(JSON.parse(await ask({ cert: pem(client.cert), key: pem(client.key) })).code).toBe(0);
    expect(told('registered')).toMatchObject([{ caller: '127.0.0.1', certificate: 'O=Example,CN=users' }]);
  });

  it('with an authority takes as a node only who has its own subject, or is good for a peer', async () => {
    const peer = (peers: string[]) => start({ tls: { ...server, ca: authority.ca }, peers });
    const digest = (url: string, { cert, key }: CertificateFiles) =>
      new Promise<number | undefined>((resolve, reject) => {
        const options = { ca: pem(authority.ca), cert: pem(cert), key: pem(key), agent: false };
        https
          .get(`${url}/discovery/peer/digest`, options, (response) => resolve(response.resume().statusCode))
          .on('error', reject);
      });
    const { url } = await peer([]);
    expect(await digest(url, client)).toBe(403);
    expect(await digest(url, authority.issue('registry'))).toBe(200);
    expect(await digest((await peer(['10.255.255.1:1'])).url, client)).toBe(403);
    // Certificates of the double are all good for loopback.
    expect(await digest((await peer(['127.0.0.1:1'])).url, client)).toBe(200);
  });

  it('takes nobody for a node by a subject that only reads like its own, or that neither has', async () => {
    const alone = (files: CertificateFiles, peers: string[] = []) =>
      start({ tls: { ...files, ca: authority.ca }, peers });
    const digest = (url: string, { cert, key }: CertificateFiles) =>
      new Promise<number | undefined>((resolve, reject) => {
        const options = { ca: pem(authority.ca), cert: pem(cert), key: pem(key), agent: false };
        https
          .get(`${url}/discovery/peer/digest`, options, (response) => resolve(response.resume().statusCode))
          .on('error', reject);
      });
    const forged = authority.issue('forged', '/O=Example,CN=registry');
    const { url } = await alone(server);
    expect(await digest(url, forged)).toBe(403);
    const [one, other] = [authority.issue('one', '/'), authority.issue('other', '/')];
    expect(await digest((await alone(one)).url, other)).toBe(403);
    // All its names are alternative ones, and one of them is that of a peer.
    expect(await digest((await alone(one, ['127.0.0.1:1'])).url, other)).toBe(200);
  });

  it('is spoken among the nodes of a cluster, each with its own certificate', async () => {
    const options = { tls: { ...server, ca: authority.ca }, compareIntervalMs: 200, env: 'e', zone: 'z' };
    const first = await start({ ...options, peers: [] });
    const second = await start({ ...options, peers: [`127.0.0.1:${first.port}`] });
    const tlsOptions = { ca: pem(authority.ca), cert: pem(client.cert), key: pem(client.key) };
    const registry = discovery({ nodes: [first.url], tls: tlsOptions, zone: 'z', env: 'e' });
    const nodes: number[] = [];
    registry.watch('infra.discovery', ({ instances }) => nodes.push(instances.length));
    await vi.waitFor(() => expect(nodes.at(-1)).toBe(2), 8_000);
    for (const { registry: node } of [first, second])
      await vi.waitFor(() => expect(node.stats().peers).toMatchObject([{ status: 'up' }]), 8_000);
    await registry.close();
  });

  it('takes a new certificate from its files, and keeps the last good one', async () => {
    const clock = manualClock();
    const files = authority.issue('before');
    const { port, told } = await start({ tls: files, clock });
    const subject = () =>
      new Promise<string>((resolve, reject) => {
        const socket = tls.connect({ port, host: '127.0.0.1', ca: pem(authority.ca) }, () => {
          resolve(String(socket.getPeerCertificate().subject.CN));
          socket.destroy();
        });
        socket.on('error', reject);
      });
    expect(await subject()).toBe('before');
    clock.advanceSync(10_000);
    expect(told('tls')).toEqual([]);
    authority.replace(files, authority.issue('after'));
    clock.advanceSync(10_000);
    expect(await subject()).toBe('after');
    expect(told('tls')).toEqual([{ renewed: true }]);
    const { writeFileSync } = await import('node:fs');
    writeFileSync(files.cert, 'torn');
    clock.advanceSync(30_000);
    expect(told('tls').slice(1)).toMatchObject([{ renewed: false, error: expect.stringContaining('tls') }]);
    expect(await subject()).toBe('after');
  });

  it.each([
    [{ cert: 'x' }, /needs cert and key/],
    [{ cert: 'nowhere.pem', key: 'nowhere.pem' }, /cannot be used: .*nowhere\.pem/],
    [{ cert: 12, key: 'x' }, /tls\.cert must be the path/],
    [{ certificate: 'x' }, /tls\.certificate is not an option/],
  ])('%j is refused', (files, message) => {
    expect(() => createRegistry({ tls: files as never })).toThrow(message);
  });
});
