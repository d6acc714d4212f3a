import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import {
  createRegistry,
  type RegistryEvent,
  type RegistryOptions,
  type RegistryServer,
} from 'keelson/registry';
import { manualClock } from 'keelson/testing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const running: RegistryServer[] = [];
afterEach(async () => {
  for (const registry of running.splice(0)) await registry.close();
});

async function start(options: RegistryOptions = {}) {
  const clock = manualClock();
  const events: RegistryEvent[] = [];
  const registry = createRegistry({
    listen: '127.0.0.1:0',
    onEvent: (event) => events.push(event),
    clock,
    ...options,
  });
  running.push(registry);
  const { url } = await registry.listen();
  const call = async (method: 'GET' | 'POST', path: string, values: Record<string, string>) => {
    const form = new URLSearchParams(values);
    const response = await fetch(`${url}/discovery/${path}${method === 'GET' ? `?${form}` : ''}`, {
      method,
      ...(method === 'POST' && { body: form }),
    });
    // biome-ignore lint/suspicious/noExplicitAny: whatever it says
    return (await response.json()) as any;
  };
  const told = (name: string) => events.filter((event) => event.name === name).map(({ fields }) => fields);
  /** The next look at the folder. */
  const look = () => clock.advanceSync(2_000);
  return { registry, url, told, look, get: call.bind(null, 'GET'), post: call.bind(null, 'POST') };
}

const id = { zone: 'z', env: 'e', appid: 'a', hostname: 'h' };
const instance = { ...id, status: '1', addrs: 'http://a:1' };
const patience = { timeout: 8_000 };

function plain(url: string, headers: Record<string, string>) {
  return new Promise<{ body: Buffer; encoding: string | undefined }>((resolve, reject) => {
    const request = http.get(url, { headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ body: Buffer.concat(chunks), encoding: response.headers['content-encoding'] }),
      );
    });
    request.on('error', reject);
  });
}

/** What a page of metrics says, by name and labels. */
async function metrics(url: string): Promise<Map<string, number>> {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n');
  return new Map(
    lines.flatMap((line) => {
      const [, name = '', value = ''] = /^([^#\s]\S*(?: [^ ]*"})?) (\S+)$/.exec(line) ?? [];
      return name === '' ? [] : [[name, Number(value)] as const];
    }),
  );
}

describe('metrics', () => {
  it('say what it holds, what it was asked, and what that takes', async () => {
    const { registry, url, get, post } = await start();
    await post('register', instance);
    await post('register', { ...instance, hostname: 'h2' });
    await post('renew', id);
    await post('renew', { ...id, hostname: 'unknown' });
    const list = await fetch(`${url}/discovery/fetch?env=e&appid=a&status=1`).then((one) => one.text());
    const poll = get('polls', {
      env: 'e',
      appid: 'a',
      hostname: 'p',
      latest_timestamp: '9000000000000000000',
    });
    await vi.waitFor(() => expect(registry.stats().parkedPolls).toBe(1));
    const found = await metrics(url);
    const of = (name: string) => found.get(`keelson_registry_${name}`);
    expect(of('instances')).toBe(2);
    expect(of('parked_polls')).toBe(1);
    expect(of('synced')).toBe(1);
    expect(of('protecting')).toBe(0);
    expect(of('requests_total{path="/discovery/register",code="0"}')).toBe(2);
    expect(of('requests_total{path="/discovery/renew",code="-404"}')).toBe(1);
    expect(of('requests_total{path="/discovery/polls",code="0"}')).toBeUndefined();
    expect(of('list_bytes')).toBe(list.length - '{"code":0,"message":"0","ttl":1,"data":}'.length);
    expect(of('resident_memory_bytes')).toBeGreaterThan(10_000_000);
    await post('cancel', id);
    expect((await poll).code).toBe(0);
    expect(
      (await metrics(url)).get('keelson_registry_requests_total{path="/discovery/polls",code="0"}'),
    ).toBe(1);
  });

  it('have no more lines, whatever is asked', async () => {
    const { url, get } = await start();
    await get('nodes', {});
    const before = (await metrics(url)).size;
    for (let round = 0; round < 50; round++) {
      await fetch(`${url}/discovery/none-${round}`);
      await get('nodes', { [`name-${round}`]: 'x' });
    }
    expect((await metrics(url)).size).toBe(before);
  });

  const promtool = spawnSync('promtool', ['--version']).status === 0;
  it.skipIf(!promtool)(
    promtool ? 'satisfy promtool' : 'SKIPPED: there is no promtool here (Debian: apt-get install prometheus)',
    async () => {
      const { url, post } = await start({ peers: ['127.0.0.1:1', 'z"2\\=127.0.0.1:2'], syncTimeoutMs: 1 });
      await post('register', instance);
      const page = await (await fetch(`${url}/metrics`)).text();
      expect(page).toContain('peer_up{peer="127.0.0.1:2",zone="z\\"2\\\\"}');
      expect(execFileSync('promtool', ['check', 'metrics'], { input: page, encoding: 'utf8' })).toBe('');
    },
  );

  it('are for GET alone', async () => {
    const { url } = await start();
    expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
    expect((await fetch(`${url}/metrics`)).headers.get('content-type')).toBe(
      'text/plain; version=0.0.4; charset=utf-8',
    );
  });
});

describe('compression', () => {
  const many = Array.from({ length: 20 }, (_, n) => `h${n}`);

  it('is for who asks for it, and for what is worth it', async () => {
    const { url, post } = await start();
    for (const hostname of many) await post('register', { ...instance, hostname });
    for (const path of ['fetch', 'fetchs', 'fetch/all']) {
      const address = `${url}/discovery/${path}?env=e&appid=a&status=1`;
      const uncompressed = await plain(address, {});
      expect(uncompressed.encoding).toBeUndefined();
      for (const accepted of ['gzip', 'deflate, GZIP;q=0.5', 'br, x-gzip']) {
        const { body, encoding } = await plain(address, { 'accept-encoding': accepted });
        expect(encoding).toBe('gzip');
        expect(body.length).toBeLessThan(uncompressed.body.length / 4);
        expect(gunzipSync(body).equals(uncompressed.body)).toBe(true);
      }
      for (const accepted of ['identity', 'gzip;q=0', 'gzip;q=0.0, br', '*', 'gzippy'])
        expect((await plain(address, { 'accept-encoding': accepted })).encoding).toBeUndefined();
    }
    expect((await plain(`${url}/discovery/nodes`, { 'accept-encoding': 'gzip' })).encoding).toBeUndefined();
  });

  it('is made once for all who wait', async () => {
    const { registry, url, post } = await start();
    for (const hostname of many) await post('register', { ...instance, hostname });
    const headers = { 'accept-encoding': 'gzip' };
    const query = 'env=e&appid=a&hostname=p&latest_timestamp=9000000000000000000';
    const answers = Array.from({ length: 30 }, () => plain(`${url}/discovery/polls?${query}`, headers));
    await vi.waitFor(() => expect(registry.stats().parkedPolls).toBe(30));
    const { encodings } = registry.stats();
    await post('cancel', { ...id, hostname: 'h3' });
    const [first, ...others] = await Promise.all(answers);
    expect(JSON.parse(gunzipSync(first?.body ?? '').toString()).data.a.instances.z).toHaveLength(19);
    for (const { body } of others) expect(body.equals(first?.body ?? Buffer.alloc(0))).toBe(true);
    expect(registry.stats().encodings).toBe(encodings + 1);
  });
});

describe('schedulers', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'keelson-schedulers-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const clients = (weight: number) => ({ sh001: { zones: { sh001: { weight: 100 }, sh002: { weight } } } });
  const write = (name: string, content: unknown) =>
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  const file = (weight: number, more: object = {}) => ({
    ...{ app_id: 'a', env: 'e', clients: clients(weight), remark: 'r' },
    ...more,
  });
  const watch = (since: string) => ({ env: 'e', appid: 'a', hostname: 'p', latest_timestamp: since });

  it('are told with the list of their app, as an object, and a change wakes those who wait', async () => {
    write('a.json', file(1));
    write('b.json', file(9, { app_id: 'b', remark: undefined }));
    write('readme.txt', 'not JSON');
    const { registry, get, post, told, look } = await start({ schedulers: folder });
    expect(told('scheduler')).toEqual([{ apps: 2 }]);
    await post('register', instance);
    await post('register', { ...instance, appid: 'c' });
    const scheduler = { clients: clients(1), remark: 'r' };
    const query = { env: 'e', appid: 'a', status: '1' };
    expect((await get('fetch', query)).data).toMatchObject({ instances: { z: [{}] }, scheduler });
    expect((await get('polls', watch('0'))).data.a).toMatchObject({ scheduler });
    expect((await get('fetch', { ...query, appid: 'c' })).data).not.toHaveProperty('scheduler');
    const answer = get('polls', watch('9000000000000000000'));
    await vi.waitFor(() => expect(registry.stats().parkedPolls).toBe(1));
    write('a.json', file(25));
    look();
    expect((await answer).data.a.scheduler.clients).toEqual(clients(25));
    unlinkSync(join(folder, 'a.json'));
    await vi.waitFor(() => expect(told('scheduler')).toHaveLength(2));
    look();
    await vi.waitFor(
      async () => expect((await get('fetch', query)).data).not.toHaveProperty('scheduler'),
      patience,
    );
    // An app that comes later finds what is said of it.
    await post('register', { ...instance, appid: 'b' });
    expect((await get('fetch', { ...query, appid: 'b' })).data.scheduler).toEqual({
      clients: clients(9),
      remark: '',
    });
  });

  it.each([
    ['{', /JSON/],
    ['[]', /it must be an object/],
    [file(1, { app_id: '' }), /app_id must be/],
    [file(1, { env: undefined }), /env must be/],
    [file(1, { clients: [{ src: 'a', dst: { b: 1 } }] }), /clients must be an object/],
    [file(1, { clients: { a: { zone: {} } } }), /clients\.a has "zone"; there are zones/],
    [file(-1), /sh002\.weight must be a whole number/],
    [file(1.5), /sh002\.weight must be a whole number/],
    [file(1, { clients: { a: { zones: { b: { weight: 1, w: 2 } } } } }), /has "w"/],
    [file(1, { remark: 7 }), /remark must be a string/],
    [file(1, { weight: 7 }), /it has "weight"; there are app_id, env, clients, remark/],
    [' '.repeat(300_000), /more than 262144 bytes/],
  ])('that are wrong are told once, and what was good stays: %#', async (content, error) => {
    write('a.json', file(1));
    const { get, post, told, look } = await start({ schedulers: folder });
    await post('register', instance);
    write('a.json', content);
    look();
    await vi.waitFor(
      () => expect(told('scheduler').slice(1)).toMatchObject([{ file: 'a.json', kept: true }]),
      patience,
    );
    expect(told('scheduler')[1]?.['error']).toMatch(error);
    const { data } = await get('fetch', { env: 'e', appid: 'a', status: '1' });
    expect(data.scheduler.clients).toEqual(clients(1));
    expect(({} as { weight?: unknown }).weight).toBeUndefined();
  });

  it('in a folder that is not there are told, and found once it is', async () => {
    rmSync(folder, { recursive: true });
    const { get, post, told, look } = await start({ schedulers: folder });
    await post('register', instance);
    expect(told('scheduler')).toMatchObject([{ file: folder, error: expect.stringContaining('ENOENT') }]);
    const { mkdirSync } = await import('node:fs');
    mkdirSync(folder);
    write('a.json', file(3));
    look();
    await vi.waitFor(
      async () =>
        expect((await get('fetch', { env: 'e', appid: 'a', status: '1' })).data.scheduler.clients).toEqual(
          clients(3),
        ),
      patience,
    );
  });
});
