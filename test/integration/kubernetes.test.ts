import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DiscoveryEvent, Resolution, Resolver } from 'keelson/discovery';
import { type KubernetesOptions, kubernetes } from 'keelson/discovery/kubernetes';
import { manualClock, seededRandom } from 'keelson/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { pass, until } from '../doubles/http-double.js';
import { KubernetesApiDouble, type SliceObject } from '../doubles/kubernetes-api.js';

const ending: (() => unknown)[] = [];
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const end of ending.splice(0).reverse()) await end();
});

async function setUp(options: Partial<KubernetesOptions> = {}) {
  const clock = manualClock();
  const api = await new KubernetesApiDouble().start();
  ending.push(() => api.stop());
  const events: DiscoveryEvent[] = [];
  const client = (more: Partial<KubernetesOptions> = {}): Resolver => {
    const resolver = kubernetes({
      server: api.url,
      namespace: 'default',
      credentialsPath: '/nowhere',
      clock,
      random: seededRandom(1),
      onEvent: (event) => events.push(event),
      ...options,
      ...more,
    });
    ending.push(() => resolver.close?.());
    return resolver;
  };
  return { clock, api, events, client };
}

function follow(resolver: Resolver, service = 'users') {
  const pushed: Resolution[] = [];
  const watch = resolver.watch(service, (resolution) => pushed.push(resolution));
  return {
    pushed,
    watch,
    get ids() {
      return pushed.at(-1)?.instances.map(({ id }) => id);
    },
    get addresses() {
      return pushed.at(-1)?.instances.flatMap(({ addresses }) => addresses);
    },
    get stale() {
      return pushed.at(-1)?.stale;
    },
    get reason() {
      return pushed.at(-1)?.reason;
    },
  };
}

interface PodMore {
  readonly ready?: boolean | null;
  readonly serving?: boolean;
  readonly terminating?: boolean;
  readonly zone?: string;
  readonly forZones?: readonly string[];
}

/** An endpoint as the control plane writes it. */
function pod(name: string, address: string, more: PodMore = {}): object {
  const { ready = true, serving, terminating, zone, forZones } = more;
  return {
    addresses: [address],
    conditions: { ...(ready === null ? {} : { ready }), serving, terminating },
    targetRef: { kind: 'Pod', name, uid: `uid-${name}` },
    nodeName: 'node',
    zone,
    ...(forZones ? { hints: { forZones: forZones.map((forZone) => ({ name: forZone })) } } : {}),
  };
}

function slice(
  name: string,
  endpoints: readonly object[] | null,
  more: Partial<SliceObject> = {},
): SliceObject {
  return {
    metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': 'users' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints,
    ...more,
  };
}

describe('following EndpointSlices', () => {
  it('lists, and follows what comes, changes and goes, over all slices', async () => {
    const { api, client } = await setUp({ removalHoldMs: 0, minListRatio: 0 });
    api.write(slice('users-a', [pod('p1', '10.0.0.1', { zone: 'z1' })]));
    const users = follow(client());
    await until(() => users.pushed.length > 0);
    expect(users.pushed[0]).toEqual({
      instances: [
        {
          id: 'uid-p1',
          service: 'users',
          hostname: 'p1',
          addresses: ['http://10.0.0.1:8080'],
          version: '',
          zone: 'z1',
          env: '',
          region: '',
          weight: 100,
          status: 'up',
          metadata: {},
        },
      ],
      stale: false,
      reason: undefined,
    });
    await until(() => api.watching.size === 1);
    api.write(slice('users-b', [pod('p2', '10.0.0.2')]));
    await until(() => users.ids?.join() === 'uid-p1,uid-p2');
    api.write(slice('users-a', [pod('p1', '10.0.0.1', { ready: false }), pod('p3', '10.0.0.3')]));
    await until(() => users.ids?.join() === 'uid-p2,uid-p3');
    api.remove('users-a');
    await until(() => users.ids?.join() === 'uid-p2');
    api.remove('users-b');
    await until(() => users.ids?.length === 0);
    expect(api.count('GET', /endpointslices$/)).toBe(2);
  });

  it('watches from the version of the list, and is told what was written between the two', async () => {
    const { api, client } = await setUp();
    api.fault = ({ query }) => {
      if (!query.has('watch')) return undefined;
      api.fault = undefined;
      api.write(slice('users-b', [pod('p2', '10.0.0.2')]));
      return undefined;
    };
    api.write(slice('users-a', [pod('p1', '10.0.0.1')]));
    const users = follow(client());
    await until(() => users.ids?.length === 2);
    expect(Object.fromEntries(api.asked[1]?.query ?? [])).toMatchObject({
      watch: '1',
      resourceVersion: '101',
      allowWatchBookmarks: 'true',
      labelSelector: 'kubernetes.io/service-name=users',
    });
  });

  it('reads a long list in pieces', async () => {
    const { api, client } = await setUp();
    api.maxPiece = 2;
    for (let at = 0; at < 5; at++) api.write(slice(`users-${at}`, [pod(`p${at}`, `10.0.0.${at}`)]));
    const users = follow(client());
    await until(() => users.pushed.length > 0);
    expect(users.ids).toHaveLength(5);
    expect(api.asked.filter(({ query }) => query.has('continue'))).toHaveLength(2);
  });

  it('begins the list anew when it gets too old within', async () => {
    const { clock, api, client } = await setUp();
    api.maxPiece = 2;
    for (let at = 0; at < 3; at++) api.write(slice(`users-${at}`, [pod(`p${at}`, `10.0.0.${at}`)]));
    api.fault = ({ query }) => {
      if (!query.has('continue')) return undefined;
      api.fault = undefined;
      api.version++;
      api.compact();
      return undefined;
    };
    const users = follow(client());
    await pass(clock, 5_000, () => users.ids?.length === 3);
    expect([users.ids?.length, users.stale]).toEqual([3, false]);
  });

  it('follows services of other namespaces by their full name', async () => {
    const { api, client } = await setUp();
    const metadata = { name: 's', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'bills' } };
    api.write(slice('s', [pod('p1', '10.0.0.1')], { metadata }));
    const bills = follow(client(), 'bills.shop');
    await until(() => bills.pushed.length > 0);
    expect(bills.pushed[0]?.instances[0]).toMatchObject({
      service: 'bills.shop',
      addresses: ['http://10.0.0.1:8080'],
    });
  });

  it.each(['', 'a/b', 'a.b.c', '../x', 'a,b', 'A', 7 as unknown as string])(
    'does not watch %j',
    async (name) => {
      const { client } = await setUp();
      expect(() => client().watch(name, () => undefined)).toThrow(TypeError);
    },
  );
});

describe('a watch', () => {
  it('that ends as it should goes on from where it was, and lists nothing', async () => {
    const { clock, api, client } = await setUp();
    api.write(slice('users-a', [pod('p1', '10.0.0.1')]));
    const users = follow(client());
    await until(() => api.watching.size === 1);
    api.bookmark();
    api.end('ended');
    api.write(slice('users-b', [pod('p2', '10.0.0.2')]));
    await pass(clock, 3_000, () => users.ids?.length === 2);
    expect(users.ids).toEqual(['uid-p1', 'uid-p2']);
    const lists = api.asked.filter(({ query }) => !query.has('watch'));
    expect(lists).toHaveLength(1);
    expect(api.asked.at(-1)?.query.get('resourceVersion')).toBe('102');
    expect(users.pushed.every(({ stale }) => !stale)).toBe(true);
  });

  it('that is torn in the middle of a line goes on from the last whole one', async () => {
    const { clock, api, client } = await setUp();
    api.write(slice('users-a', [pod('p1', '10.0.0.1')]));
    const users = follow(client());
    await until(() => api.watching.size === 1);
    api.write(slice('users-b', [pod('p2', '10.0.0.2')]));
    await until(() => users.ids?.length === 2);
    api.scribble('{"type":"ADDED","object":{"metadata":{"name":"users-c","resourceVersion":"999"}');
    api.end('torn');
    api.write(slice('users-c', [pod('p3', '10.0.0.3')]));
    await pass(clock, 3_000, () => users.ids?.length === 3);
    expect(users.ids).toEqual(['uid-p1', 'uid-p2', 'uid-p3']);
    expect(api.asked.filter(({ query }) => !query.has('watch'))).toHaveLength(1);
    expect(api.asked.at(-1)?.query.get('resourceVersion')).toBe('102');
  });

  it('that ends in the middle of a line does not believe it', async () => {
    const { clock, api, client } = await setUp();
    api.write(slice('users-a', [pod('p1', '10.0.0.1')]));
    const users = follow(client());
    await until(() => api.watching.size === 1);
    api.scribble('{"type":"DELETED","object":{"metadata":{"name":"users-a"');
    api.end('ended');
    await pass(clock, 5_000, () => api.watching.size === 1);
    expect([users.ids, users.stale]).toEqual([['uid-p1'], false]);
  });

  it.each([true, false])('whose version is too old lists anew; told at once: %s', async (atOnce) => {
    const { clock, api, client } = await setUp({ removalHoldMs: 0, minListRatio: 0 });
    api.goneAtOnce = atOnce;
    api.write(slice('users-a', [pod('p1', '10.0.0.1')]));
    const users = follow(client());
    await until(() => api.watching.size === 1);
    api.end('ended');
    api.remove('users-a');
    api.write(slice('users-b', [pod('p2', '10.0.0.2')]));
    api.compact();
    await pass(clock, 5_000, () => users.ids?.join() === 'uid-p2');
    expect([users.ids, users.stale]).toEqual([['uid-p2'], false]);
    expect(api.asked.filter(({ query }) => !query.has('watch'))).toHaveLength(2);
    await until(() => api.watching.size === 1);
  });

  it('may be asked to be short: over a quiet service each ends as it should', async () => {
    const { clock, api, client } = await setUp({ watchMs: 2_000 });
    api.write(slice('users-a', [pod('p1', '10.0.0.1')]));
    const users = follow(client());
    for (let round = 0; round < 6; round++) {
      await pass(clock, 20_000, () => api.watching.size === 1);
      expect(api.watching.size).toBe(1);
      const seconds = Number(api.asked.at(-1)?.query.get('timeoutSeconds'));
      expect(seconds).toBeLessThanOrEqual(2);
      await clock.advance(seconds * 1_000);
      api.end('ended');
    }
    expect(api.asked.filter(({ query }) => !query.has('watch'))).toHaveLength(1);
    expect(users.pushed.map(({ stale }) => stale)).toEqual([false]);
  });

  it('that is silent for too long is begun anew', async () => {
    const { clock, api, client } = await setUp();
    const users = follow(client());
    await until(() => api.watching.size === 1);
    const before = api.asked.length;
    await pass(clock, 200_000, () => api.asked.length > before);
    expect(api.asked.length).toBeGreaterThan(before);
    expect(users.stale).toBe(false);
  });

  it.each([
    ['an event of another kind', '{"type":"NEW","object":{}}\n'],
    ['no object', '{"type":"ADDED"}\n'],
    ['a slice without a name', '{"type":"ADDED","object":{"metadata":{}}}\n'],
    ['no JSON', '<html>\n'],
    ['an error', '{"type":"ERROR","object":{"code":500,"message":"etcd is away"}}\n'],
    ['a line without an end', 'x'.repeat(30_000)],
  ])('with %s is begun anew, and harms nothing', async (_, text) => {
    const { clock, api, client } = await setUp({ maxReplyBytes: 20_000 });
    api.write(slice('users-a', [pod('p1', '10.0.0.1')]));
    const users = follow(client());
    await until(() => api.watching.size === 1);
    api.scribble(text);
    await until(() => api.watching.size === 0);
    await pass(clock, 10_000, () => api.watching.size === 1);
    api.write(slice('users-b', [pod('p2', '10.0.0.2')]));
    await until(() => users.ids?.length === 2);
    expect(users.stale).toBe(false);
  });

  it.each([
    ['ends at once', { body: '' }],
    ['has too old a version', { status: 410, body: '{"kind":"Status","code":410,"reason":"Expired"}' }],
  ])('does not run hot when each %s, and that is told', async (_, fault) => {
    const { clock, api, client } = await setUp();
    api.write(slice('users-a', [pod('p1', '10.0.0.1')]));
    const users = follow(client());
    api.fault = ({ query }) => (query.has('watch') ? fault : undefined);
    await pass(clock, 25_000, () => users.stale === true);
    expect([users.stale, users.ids]).toEqual([true, ['uid-p1']]);
    expect(users.reason).toMatch(/^\d+ watches in a row got nowhere/);
    api.asked.length = 0;
    const stale: unknown[] = [];
    api.fault = ({ query }) => {
      if (query.has('watch')) return fault;
      stale.push(users.stale);
      return undefined;
    };
    await pass(clock, 200_000);
    // A list and a watch each 10 to 20 s; between a watch that failed and the next list nobody takes the last one for fresh.
    expect(api.asked.length).toBeLessThan(60);
    expect(api.asked.length).toBeGreaterThan(8);
    expect(stale.every(Boolean)).toBe(true);
    api.fault = undefined;
    await pass(clock, 60_000, () => api.watching.size === 1);
    expect(users.stale).toBe(false);
  });

  it('ends when nobody wants it any more', async () => {
    const { clock, api, client } = await setUp();
    const resolver = client();
    const [one, two] = [follow(resolver), follow(resolver)];
    await until(() => api.watching.size === 1);
    one.watch.close();
    await pass(clock, 1_000);
    expect(api.watching.size).toBe(1);
    two.watch.close();
    await until(() => api.watching.size === 0);
    const asked = api.asked.length;
    await pass(clock, 60_000);
    expect(api.asked).toHaveLength(asked);
  });
});

describe('the way to the API server', () => {
  it('keeps the last good list, marked stale, while there is none', async () => {
    const { clock, api, client } = await setUp();
    api.write(slice('users-a', [pod('p1', '10.0.0.1')]));
    const users = follow(client());
    await until(() => api.watching.size === 1);
    api.fault = () => ({ status: 500, body: 'etcdserver: leader changed' });
    api.end('torn');
    await pass(clock, 20_000, () => users.stale);
    expect([users.ids, users.stale]).toEqual([['uid-p1'], true]);
    expect(users.reason).toMatch(/leader changed/);
    api.fault = undefined;
    await pass(clock, 60_000, () => users.stale === false);
    expect([users.ids, users.stale]).toEqual([['uid-p1'], false]);
  });

  it('says what it is not allowed to', async () => {
    const { clock, api, client } = await setUp();
    api.fault = () => ({ status: 403, body: '{"message":"endpointslices is forbidden"}' });
    const users = follow(client());
    await pass(clock, 1_000, () => users.reason);
    expect(users.reason).toMatch(/403.*endpointslices is forbidden/);
  });

  it('reads the token anew when it was replaced', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'keelson-kubernetes-'));
    ending.push(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'token'), 'one\n');
    await writeFile(join(folder, 'namespace'), 'shop\n');
    const { clock, api, client } = await setUp({ credentialsPath: folder, namespace: undefined });
    api.token = 'one';
    const metadata = {
      name: 'users-a',
      namespace: 'shop',
      labels: { 'kubernetes.io/service-name': 'users' },
    };
    api.write(slice('users-a', [pod('p1', '10.0.0.1')], { metadata }));
    const users = follow(client());
    await until(() => api.watching.size === 1);
    api.token = 'two';
    api.end('torn');
    await pass(clock, 2_000);
    expect(api.watching.size).toBe(0);
    await writeFile(join(folder, 'token'), 'two\n');
    await pass(clock, 30_000, () => api.watching.size === 1);
    expect([users.ids, api.watching.size]).toEqual([['uid-p1'], 1]);
  });

  it('trusts the authority in the folder, and the one that follows it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'keelson-kubernetes-'));
    ending.push(() => rm(folder, { recursive: true }));
    const [one, two] = ['one', 'two'].map((name) => certificate(folder, name)) as [Pem, Pem];
    await writeFile(join(folder, 'ca.crt'), one.cert);
    const asked: (string | undefined)[] = [];
    const server = https.createServer(one, (request, response) => {
      asked.push(request.headers.authorization);
      response.end('{"metadata":{"resourceVersion":"1"},"items":null}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ending.push(
      () => server.closeAllConnections(),
      () => server.close(),
    );
    const { clock, client } = await setUp({ credentialsPath: folder, token: 't' });
    const users = follow(client({ server: `https://127.0.0.1:${(server.address() as AddressInfo).port}` }));
    await until(() => users.pushed.length > 0);
    expect([users.ids, users.stale, asked[0]]).toEqual([[], false, 'Bearer t']);
    server.setSecureContext(two);
    server.closeAllConnections();
    await pass(clock, 20_000, () => users.stale);
    expect(users.reason).toMatch(/self-signed|unable to verify|signature/);
    await writeFile(join(folder, 'ca.crt'), two.cert);
    await pass(clock, 60_000, () => users.stale === false);
    expect(users.stale).toBe(false);
  });

  it('takes a token from a function', async () => {
    const { api, client } = await setUp();
    api.token = 'mine';
    const users = follow(client({ token: async () => 'mine' }));
    await until(() => users.pushed.length > 0);
    expect(users.stale).toBe(false);
  });

  it('is that of the cluster where it is not given', () => {
    vi.stubEnv('KUBERNETES_SERVICE_HOST', '');
    expect(() => kubernetes()).toThrow(/kubernetes.server is needed outside of a cluster/);
    vi.stubEnv('KUBERNETES_SERVICE_HOST', 'fd00::1');
    expect(() => kubernetes().close?.()).not.toThrow();
  });

  it('notices a server that hangs', async () => {
    const { clock, api, client } = await setUp({ requestTimeoutMs: 2_000 });
    api.write(slice('users-a', [pod('p1', '10.0.0.1')]));
    const users = follow(client());
    await until(() => api.watching.size === 1);
    api.fault = () => 'hang';
    api.end('torn');
    await pass(clock, 60_000, () => users.stale);
    expect([users.ids, users.stale]).toEqual([['uid-p1'], true]);
  });

  it('does not read a list without an end', async () => {
    const { clock, api, client } = await setUp({ maxReplyBytes: 5_000 });
    api.write(
      slice(
        'users-a',
        Array.from({ length: 100 }, (_, at) => pod(`p${at}`, `10.0.0.${at}`)),
      ),
    );
    const users = follow(client());
    await pass(clock, 1_000, () => users.reason);
    expect(users.reason).toMatch(/more than 5000 bytes/);
  });

  it('does not read pieces without an end', async () => {
    const { clock, api, client } = await setUp();
    api.fault = () => ({ body: '{"metadata":{"continue":"more"},"items":[]}' });
    const users = follow(client());
    await until(() => api.asked.length >= 1_000);
    await pass(clock, 5, () => users.reason);
    expect(users.reason).toMatch(/without an end/);
    expect(api.asked).toHaveLength(1_000);
  });

  it('does not pass over an event that it could not read', async () => {
    const { clock, api, client } = await setUp();
    api.write(slice('users-a', [pod('p1', '10.0.0.1')]));
    const users = follow(client());
    await until(() => api.watching.size === 1);
    api.bookmark();
    api.scribble('{"type":"NEW","object":{"metadata":{"name":"users-a","resourceVersion":"105"}}}\n');
    await until(() => api.watching.size === 0);
    await pass(clock, 5_000, () => api.watching.size === 1);
    expect(api.asked.at(-1)?.query.get('resourceVersion')).toBe('102');
    expect(users.stale).toBe(false);
  });

  it('does not remember more slices than there can be', async () => {
    const { clock, api, client } = await setUp();
    for (let at = 0; at < 1_001; at++) api.write(slice(`users-${at}`, []));
    const users = follow(client());
    await pass(clock, 1_000, () => users.reason);
    expect(users.reason).toMatch(/more than 1000 slices/);
  });
});

interface Pem {
  readonly key: string;
  readonly cert: string;
}

/** A certificate for 127.0.0.1 that signs itself. */
function certificate(folder: string, name: string): Pem {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', ...curve, '-keyout', key, '-out', cert, ...subject], {
    stdio: 'ignore',
  });
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}

/** What comes of slices that are just there. */
async function shown(slices: readonly SliceObject[], options: Partial<KubernetesOptions> = {}) {
  const { api, events, client } = await setUp(options);
  for (const one of slices) api.write(one);
  const users = follow(client());
  await until(() => users.pushed.length > 0);
  return { users, malformed: events.find(({ type }) => type === 'malformed')?.reason };
}

describe('the instances of slices', () => {
  it('are the ready ones; what is not said counts as yes', async () => {
    const { users } = await shown([
      slice('a', [
        pod('yes', '10.0.0.1'),
        pod('unsaid', '10.0.0.2', { ready: null }),
        pod('no', '10.0.0.3', { ready: false }),
        pod('ending', '10.0.0.4', { ready: false, serving: true, terminating: true }),
      ]),
    ]);
    expect(users.ids).toEqual(['uid-unsaid', 'uid-yes']);
  });

  it('are those that still serve when none is ready', async () => {
    const { users } = await shown([
      slice('a', [
        pod('no', '10.0.0.3', { ready: false, serving: false }),
        pod('ending', '10.0.0.4', { ready: false, serving: true, terminating: true }),
      ]),
    ]);
    expect(users.ids).toEqual(['uid-ending']);
  });

  it('are one for a pod with addresses of both families, of the one that is wanted', async () => {
    const slices = [
      slice('four', [pod('p1', '10.0.0.1'), pod('p2', '10.0.0.2')]),
      slice('six', [pod('p1', 'fd00::1'), pod('p3', 'fd00::3')], { addressType: 'IPv6' }),
    ];
    expect((await shown(slices)).users.addresses).toEqual([
      'http://10.0.0.1:8080',
      'http://10.0.0.2:8080',
      'http://[fd00::3]:8080',
    ]);
    expect((await shown(slices, { family: 'IPv6' })).users.addresses).toEqual([
      'http://[fd00::1]:8080',
      'http://10.0.0.2:8080',
      'http://[fd00::3]:8080',
    ]);
  });

  it('are one for a pod that moves from one slice to another', async () => {
    const { users } = await shown([
      slice('a', [pod('p1', '10.0.0.1', { ready: false })]),
      slice('b', [pod('p1', '10.0.0.1')]),
    ]);
    expect(users.ids).toEqual(['uid-p1']);
  });

  it('are known by their address where there is no pod', async () => {
    const { users } = await shown([slice('a', [{ addresses: ['10.0.0.1', '10.0.0.2'] }])]);
    expect([users.ids, users.addresses]).toEqual([['10.0.0.1'], ['http://10.0.0.1:8080']]);
  });

  it.each([
    ['by name', [{ name: 'grpc', port: 9 }], ['grpc://10.0.0.1:9']],
    ['by the first part of the name', [{ name: 'grpc-api', port: 9 }], ['grpc://10.0.0.1:9']],
    ['by appProtocol', [{ name: 'x', port: 9, appProtocol: 'HTTPS' }], ['https://10.0.0.1:9']],
    ['as http when nothing is said', [{ name: '', port: 9 }], ['http://10.0.0.1:9']],
    [
      'of each scheme',
      [
        { name: 'http', port: 8 },
        { name: 'grpc', port: 9 },
        { name: 'metrics', port: 7 },
      ],
      ['http://10.0.0.1:8', 'grpc://10.0.0.1:9'],
    ],
    [
      'by the plain name before others of the scheme',
      [
        { name: 'http-metrics', port: 7 },
        { name: 'http', port: 8 },
      ],
      ['http://10.0.0.1:8'],
    ],
    [
      'not by UDP',
      [
        { name: 'http', port: 8, protocol: 'UDP' },
        { name: 'grpc', port: 9 },
      ],
      ['grpc://10.0.0.1:9'],
    ],
  ])('have their ports %s', async (_, ports, addresses) => {
    const { users } = await shown([slice('a', [pod('p1', '10.0.0.1')], { ports })]);
    expect(users.addresses).toEqual(addresses);
  });

  it('are none where the port cannot be told, and that is told; then it can be chosen', async () => {
    const ports = [
      { name: 'http-api', port: 8 },
      { name: 'http-admin', port: 9 },
      { name: 'web', port: 10 },
    ];
    const slices = [slice('a', [pod('p1', '10.0.0.1')], { ports })];
    const { users, malformed } = await shown(slices);
    expect(users.addresses).toEqual([]);
    expect(malformed).toMatch(/http-api, http-admin are all http/);
    expect((await shown(slices, { ports: { users: 'http-api' } })).users.addresses).toEqual([
      'http://10.0.0.1:8',
    ]);
    expect((await shown(slices, { ports: { users: 'web' }, scheme: 'grpc' })).users.addresses).toEqual([
      'grpc://10.0.0.1:10',
    ]);
    expect((await shown(slices, { ports: { users: 'none' } })).malformed).toMatch(/no port named none/);
  });

  const near = pod('near', '10.0.0.1', { zone: 'z1', forZones: ['z1'] });
  const far = pod('far', '10.0.0.2', { zone: 'z2', forZones: ['z2', 'z3'] });
  it.each([
    ['those set apart for the zone', 'z1', [near, far], ['uid-near']],
    ['several of them', 'z3', [near, far], ['uid-far']],
    [
      'all when not every one is set apart',
      'z1',
      [near, far, pod('x', '10.0.0.3')],
      ['uid-far', 'uid-near', 'uid-x'],
    ],
    ['all when none is set apart for the zone', 'z9', [near, far], ['uid-far', 'uid-near']],
    ['all without a zone', '', [near, far], ['uid-far', 'uid-near']],
  ])('are %s', async (_, zone, endpoints, ids) => {
    expect((await shown([slice('a', endpoints)], { zone })).users.ids).toEqual(ids);
  });

  it('do not mind what is not as it should be', async () => {
    const { users, malformed } = await shown([
      slice('a', null),
      slice('b', [pod('p1', '10.0.0.1')], { ports: null }),
      slice('c', [
        {},
        7 as unknown as object,
        { addresses: ['a b'] },
        { addresses: [1] },
        pod('p2', '10.0.0.2'),
      ]),
      slice('d', [pod('p3', '0.0.0.0')]),
    ]);
    expect(users.ids).toEqual(['uid-p2']);
    expect(malformed).toMatch(/an endpoint has no address, and 2 more left out/);
  });
});

describe('kubernetes', () => {
  it.each([
    [{ server: 'h' }, TypeError],
    [{ server: 'http://h', namespace: 'a/b' }, TypeError],
    [{ server: 'http://h', scheme: 'ftp' }, RangeError],
    [{ server: 'http://h', family: 'IPv5' }, RangeError],
    [{ server: 'http://h', ports: { a: 1 } }, TypeError],
    [{ server: 'http://h', watchMs: 1 }, RangeError],
    [{ server: 'http://h', env: 'prod' }, TypeError],
    [{ server: 'http://h', token: 7 }, TypeError],
  ])('refuses %j', (options, error) => {
    expect(() => kubernetes(options as KubernetesOptions)).toThrow(error);
  });
});
