import { once } from 'node:events';
import net from 'node:net';
import {
  createRegistry,
  type RegistryEvent,
  type RegistryOptions,
  type RegistryServer,
} from 'keelson/registry';
import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { freePort } from '../doubles/free-port.js';

const running: RegistryServer[] = [];
afterEach(async () => {
  for (const registry of running.splice(0)) await registry.close();
});

async function start(options: RegistryOptions = {}) {
  const clock = manualClock();
  const events: RegistryEvent[] = [];
  const onEvent = (event: RegistryEvent) => events.push(event);
  const registry = createRegistry({ listen: '127.0.0.1:0', clock, onEvent, ...options });
  running.push(registry);
  const { url, port } = await registry.listen();
  const call = async (method: string, path: string, values: Record<string, unknown> = {}) => {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(values))
      for (const item of Array.isArray(value) ? value : [value]) search.append(name, String(item));
    const response = await fetch(`${url}/discovery/${path}${method === 'GET' ? `?${search}` : ''}`, {
      method,
      ...(method === 'POST' && { body: search }),
    });
    return (await response.json()) as Record<string, never> & { code: number; message: string };
  };
  const post = (path: string, values: Record<string, unknown>) => call('POST', path, values);
  const get = (path: string, values: Record<string, unknown>) => call('GET', path, values);
  return { registry, clock, events, url, port, get, post };
}

const id = (more: object = {}) => ({ zone: 'z', env: 'e', appid: 'a', hostname: 'h', ...more });
const instance = (more: object = {}) => id({ status: 1, addrs: 'http://a:1', ...more });
const watch = (more: object = {}) => ({
  env: 'e',
  appid: 'a',
  hostname: 'p',
  latest_timestamp: '9000000000000000000',
  ...more,
});
const pollLine = (appid = 'a', since = '9000000000000000000') =>
  `GET /discovery/polls?env=e&hostname=p&appid=${appid}&latest_timestamp=${since} HTTP/1.1\r\nhost: localhost\r\n\r\n`;

/** A connection that says exactly what a test wants, and keeps what comes back. */
async function connection(port: number) {
  const socket = net.connect(port, '127.0.0.1');
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk;
  });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return { socket, received: () => received, closed: once(socket, 'close') };
}

describe('a poll that waits', () => {
  it('is -304 after 30 s by the clock that was given', async () => {
    const { registry, clock, get } = await start();
    const answer = get('polls', watch());
    await vi.waitFor(() => expect(registry.stats().parkedPolls).toBe(1));
    clock.advanceSync(29_999);
    expect(registry.stats().parkedPolls).toBe(1);
    clock.advanceSync(1);
    expect((await answer).code).toBe(-304);
    expect(registry.stats()).toMatchObject({ parkedPolls: 0, watches: 0 });
  });

  it('leaves nothing behind when its client goes away', async () => {
    const { registry, clock, port } = await start();
    const timers = clock.pending;
    const clients = await Promise.all(Array.from({ length: 20 }, () => connection(port)));
    for (const { socket } of clients) socket.write(pollLine());
    await vi.waitFor(() => expect(registry.stats()).toMatchObject({ parkedPolls: 20, watches: 20 }));
    expect(clock.pending).toBe(timers + 20);
    for (const [at, { socket }] of clients.entries()) at % 2 === 0 ? socket.destroy() : socket.end();
    await vi.waitFor(() => expect(registry.stats()).toMatchObject({ parkedPolls: 0, watches: 0 }));
    expect(clock.pending).toBe(timers);
  });

  it('is answered in one pass with 2 000 others, from one encoding', async () => {
    const { registry, port, post } = await start();
    await post('register', instance());
    const connections = 20;
    const each = 100;
    const clients = await Promise.all(Array.from({ length: connections }, () => connection(port)));
    for (const { socket } of clients) socket.write(pollLine('a').repeat(each));
    await vi.waitFor(() => expect(registry.stats().parkedPolls).toBe(connections * each), {
      timeout: 20_000,
    });
    const { encodings } = registry.stats();
    await post('register', instance({ hostname: 'h2' }));
    expect(registry.stats()).toMatchObject({ parkedPolls: 0, encodings: encodings + 1 });
    for (const { received, socket } of clients) {
      await vi.waitFor(() => expect(received().match(/"hostname":"h2"/g)).toHaveLength(each), {
        timeout: 20_000,
      });
      expect(received().match(/HTTP\/1\.1 200/g)).toHaveLength(each);
      socket.destroy();
    }
  });

  it('beyond the bound is refused with -509', async () => {
    const { registry, get } = await start({ limits: { parkedPolls: 1, watches: 5 } });
    const first = get('polls', watch());
    await vi.waitFor(() => expect(registry.stats().parkedPolls).toBe(1));
    expect(await get('polls', watch())).toMatchObject({
      code: -509,
      message: expect.stringContaining('1 polls'),
    });
    await registry.close();
    expect((await first).code).toBe(-500);
  });

  it('for more apps than may be watched is refused with -509', async () => {
    const { registry, get } = await start({ limits: { watches: 2 } });
    const many = { appid: ['a', 'b', 'c'], latest_timestamp: ['1', '1', '1'] };
    expect(await get('polls', watch(many))).toMatchObject({
      code: -509,
      message: expect.stringContaining('2 apps'),
    });
    expect(registry.stats().parkedPolls).toBe(0);
  });

  it('for an empty list is told at once, and after a pause if it asks again on the same connection', async () => {
    const { registry, clock, port, post } = await start();
    await post('register', instance({ status: 2 }));
    const { socket, received } = await connection(port);
    const answers = () => received().match(/"instances":\{"z":\[\]\}/g)?.length ?? 0;
    socket.write(pollLine('a', '0'));
    await vi.waitFor(() => expect(answers()).toBe(1));
    for (const expected of [2, 3]) {
      socket.write(pollLine('a', '0'));
      await vi.waitFor(() => expect(registry.stats().parkedPolls).toBe(1));
      clock.advanceSync(999);
      expect(registry.stats().parkedPolls).toBe(1);
      clock.advanceSync(1);
      await vi.waitFor(() => expect(answers()).toBe(expected));
    }
    socket.write(pollLine('a', '0'));
    await vi.waitFor(() => expect(registry.stats().parkedPolls).toBe(1));
    await post('set', id({ status: 1 }));
    await vi.waitFor(() => expect(received()).toContain('"hostname":"h"'));
    socket.destroy();
  });

  it('is told when the registry evicts the last instance', async () => {
    const { registry, clock, events, get, post } = await start({ pollParkMs: 1e9 });
    await post('register', instance());
    const answer = get('polls', watch());
    await vi.waitFor(() => expect(registry.stats().parkedPolls).toBe(1));
    clock.advanceSync(119_999);
    expect(registry.stats()).toMatchObject({ instances: 1, parkedPolls: 1 });
    clock.advanceSync(1);
    expect(registry.stats()).toMatchObject({ instances: 0, parkedPolls: 0, emptyApps: 1 });
    expect((await answer)['data']).toMatchObject({ a: { instances: {} } });
    expect(events.at(-1)).toEqual({ name: 'evicted', fields: id() });
  });
});

describe('bounds', () => {
  it.each([
    [
      'metadata entries',
      { metadata: JSON.stringify(Object.fromEntries(Array.from({ length: 65 }, (_, n) => [n, '']))) },
    ],
    ['metadata bytes', { metadata: JSON.stringify({ k: 'é'.repeat(4_096) }) }],
    ['addresses', { addrs: Array.from({ length: 17 }, (_, n) => `http://a:${n}`) }],
    ['addresses joined', { addrs: Array.from({ length: 17 }, (_, n) => `http://a:${n}`).join(',') }],
    ['length of an address', { addrs: `http://${'a'.repeat(512)}` }],
    ['length of a name', { hostname: 'h'.repeat(256) }],
    ['length of a version', { version: 'v'.repeat(256) }],
  ])('of %s refuse with -509 and keep nothing', async (_, more) => {
    const { registry, post } = await start();
    expect((await post('register', instance(more))).code).toBe(-509);
    expect(registry.stats().instances).toBe(0);
  });

  it.each([
    ['a control character in a name', { hostname: 'h\nlevel=fake' }],
    ['a control character of the second kind', { hostname: 'h\u009b31m' }],
    ['one in an address', { addrs: 'http://a\u0000' }],
    ['a timestamp beyond 64 bits', { dirty_timestamp: '9223372036854775808' }],
    ['a timestamp of a million digits', { dirty_timestamp: '1'.repeat(100_000) }],
    ['a status that is no number', { status: 'up' }],
    ['metadata that is a list', { metadata: '[]' }],
    ['metadata nested without end', { metadata: '['.repeat(50_000) }],
  ])('refuse %s with -400', async (_, more) => {
    const { post } = await start();
    expect((await post('register', instance(more))).code).toBe(-400);
  });

  it('of apps in one request', async () => {
    const { get } = await start({ limits: { appsPerRequest: 3 } });
    const appid = ['a', 'b', 'c', 'd'];
    for (const path of ['polls', 'poll', 'fetchs'])
      expect((await get(path, watch({ appid, status: 1 }))).code).toBe(-509);
  });

  it('of instances, in a sentence', async () => {
    const { post } = await start({ limits: { instances: 1 } });
    await post('register', instance());
    expect(await post('register', instance({ hostname: 'h2' }))).toMatchObject({
      code: -509,
      message: 'this registry takes 1 instances at most',
    });
  });

  it('of a body: told by its length, and found while it comes', async () => {
    const { registry, url, port } = await start();
    const response = await fetch(`${url}/discovery/register`, { method: 'POST', body: 'a'.repeat(262_145) });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ code: -509 });
    const { socket, closed } = await connection(port);
    socket.write(
      'POST /discovery/register HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n',
    );
    for (let chunk = 0; chunk < 20; chunk++) socket.write(`10000\r\n${'a'.repeat(0x10000)}\r\n`);
    await closed;
    expect(registry.stats().instances).toBe(0);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it('of the path and query', async () => {
    const { url } = await start({ limits: { urlBytes: 1024 } });
    expect((await fetch(`${url}/discovery/nodes?${'a'.repeat(1100)}`)).status).toBe(414);
    expect((await fetch(`${url}/discovery/nodes?${'a'.repeat(40_000)}`)).status).toBe(431);
  });

  it('of connections', async () => {
    const { port } = await start({ limits: { connections: 2 } });
    const [first, second] = [await connection(port), await connection(port)];
    const third = await connection(port);
    await third.closed;
    expect(third.received()).toBe('');
    first.socket.destroy();
    second.socket.destroy();
  });

  it('of time: headers and bodies that never end are cut', async () => {
    const { port } = await start({ requestTimeoutMs: 200 });
    const [headers, body] = [await connection(port), await connection(port)];
    headers.socket.write('GET /discovery/nodes HTTP/1.1\r\nx: ');
    body.socket.write('POST /discovery/renew HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\na');
    await Promise.all([headers.closed, body.closed]);
    for (const { received } of [headers, body]) expect(received()).toMatch(/^HTTP\/1\.1 408/);
  });
});

describe('listening and closing', () => {
  it('says where, and refuses a port that is taken; may try again', async () => {
    const listen = `127.0.0.1:${await freePort()}`;
    const { port } = await start({ listen });
    const second = createRegistry({ listen });
    await expect(second.listen()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await running[0]?.close();
    expect((await second.listen()).port).toBe(port);
    await second.close();
  });

  it('advertises what it was told to, and never a wildcard', async () => {
    const own = async (options: RegistryOptions) => {
      const { get, port } = await start(options);
      const list = JSON.stringify(await get('fetch', { env: 'e', appid: 'infra.discovery', status: 1 }));
      return /"addrs":\["([^"]*)"\]/.exec(list)?.[1]?.replace(`:${port}`, ':PORT');
    };
    expect(await own({ advertise: 'registry.example' })).toBe('http://registry.example:PORT');
    expect(await own({ advertise: 'registry.example:80' })).toBe('http://registry.example:80');
    expect(await own({ advertise: '[::1]' })).toBe('http://[::1]:PORT');
    expect(await own({ listen: ':0' })).toMatch(/^http:\/\/(?!0\.0\.0\.0)\d+\.\d+\.\d+\.\d+:PORT$/);
  });

  it('answers every poll that waits, once, and lets go of everything', async () => {
    const { registry, clock, port } = await start();
    const clients = await Promise.all(Array.from({ length: 5 }, () => connection(port)));
    for (const { socket } of clients) socket.write(pollLine());
    await vi.waitFor(() => expect(registry.stats().parkedPolls).toBe(5));
    await Promise.all([registry.close(), registry.close()]);
    await Promise.all(clients.map(({ closed }) => closed));
    for (const { received } of clients) {
      expect(received().match(/HTTP\/1\.1 200/g)).toHaveLength(1);
      expect(received()).toContain('{"code":-500,"message":"this registry is closing","ttl":1}');
    }
    expect(registry.stats().parkedPolls).toBe(0);
    expect(clock.pending).toBe(0);
    await expect(registry.listen()).rejects.toThrow(/closed/);
  });

  it('cuts what does not go', async () => {
    const { registry, clock, port } = await start({ closeTimeoutMs: 500 });
    const { socket, closed } = await connection(port);
    socket.write(
      'POST /discovery/renew HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n',
    );
    await once(socket, 'data');
    const closing = registry.close();
    clock.advanceSync(500);
    await Promise.all([closing, closed]);
  });

  it('closes also when it never listened, or is about to', async () => {
    await createRegistry({ listen: '127.0.0.1:0' }).close();
    const registry = createRegistry({ listen: '127.0.0.1:0' });
    const listening = registry.listen();
    const refused = expect(listening).rejects.toThrow(/closed before it listened/);
    await registry.close();
    await refused;
  });

  it('goes on when its log throws', async () => {
    const { post } = await start({
      onEvent: () => {
        throw new Error('full disk');
      },
    });
    expect((await post('register', instance())).code).toBe(0);
  });

  it('answers without a socket what it answers over one', async () => {
    const { registry, get, post } = await start();
    await post('register', instance());
    const asked = await registry.ask('GET', '/discovery/fetch', new URLSearchParams(watch({ status: '1' })));
    expect(asked.status).toBe(200);
    expect(JSON.parse(asked.body)).toEqual(await get('fetch', watch({ status: '1' })));
    expect(await registry.ask('GET', '/discovery/renew', new URLSearchParams())).toMatchObject({
      status: 405,
    });
    expect(await registry.ask('GET', '/nowhere', new URLSearchParams())).toMatchObject({ status: 404 });
    const unknown = await registry.ask(
      'POST',
      '/discovery/renew',
      new URLSearchParams(id({ hostname: 'x' })),
    );
    expect(JSON.parse(unknown.body).code).toBe(-404);
  });

  it('answers a peer, when it has none itself, as the original does', async () => {
    const { get, post } = await start();
    for (const answer of [
      await get('peer/digest', {}),
      await get('peer/entries', { bucket: 1 }),
      await post('peer/merge', {}),
    ])
      expect(answer.code).toBe(-400);
    const own = { appid: 'infra.discovery', replication: true };
    expect((await post('register', instance(own))).code).toBe(-400);
  });

  it.each([
    [{ listen: '127.0.0.1' }, /listen must be host:port/],
    [{ listen: '127.0.0.1:70000' }, /listen must be host:port/],
    [{ listen: '::1:7171' }, /listen must be host:port/],
    [{ listen: 'http://a:1' }, /listen must be host:port/],
    [{ advertise: 'http://a:1' }, /advertise must be/],
    [{ advertise: '0.0.0.0' }, /advertise must be/],
    [{ zone: '' }, /zone must not be empty/],
    [{ peers: 'a:1' as never }, /peers must be a list of strings/],
    [{ peers: [1] as never }, /peers must be a list of strings/],
    [{ peers: ['a:70000'] }, /peers must each be host:port or zone=host:port, got "a:70000"/],
    [{ peers: ['http://a:1'] }, /peers must each be host:port or zone=host:port, got "http:\/\/a:1"/],
    [{ peers: ['a'] }, /peers must each be/],
    [{ peers: ['=a:1'] }, /peers must each be/],
    [{ snapshot: '' }, /snapshot must not be empty/],
    [{ replyWaitMs: -1 }, /replyWaitMs/],
    [{ compareIntervalMs: 0 }, /compareIntervalMs/],
    [{ pollParkMs: 0 }, /pollParkMs/],
    [{ limits: { instances: 0 } }, /limits.instances/],
    [{ limits: { nothing: 1 } as never }, /nothing is not an option/],
    [{ color: 1 } as never, /color is not an option/],
  ])('refuses %j', (options, message) => {
    expect(() => createRegistry(options)).toThrow(message);
  });
});
