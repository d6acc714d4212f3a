import fc from 'fast-check';
import { createRegistry, type InstanceStore, instanceStore, type RegistryEvent } from 'keelson/registry';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

const small = (...values: string[]) => fc.constantFrom(...values);
const wall = 1_700_000_000_000_000_000n;
const at = (ms: number) => ({ ms, ns: wall + BigInt(ms) * 1_000_000n });

describe('claims', () => {
  const claim = fc.record({
    hostname: small('1', '2'),
    dirty: fc.bigInt({ min: 1n, max: 4n }),
    cancelled: fc.boolean(),
    version: small('x', 'y'),
    label: small('', 'l'),
  });
  const state = (store: InstanceStore) => [
    ...[...store.records()]
      .map(({ hostname, dirtyNs, content }) => `${hostname} ${dirtyNs} ${content}`)
      .sort(),
    ...[...store.cancellations(0)].map(({ hostname, dirtyNs }) => `${hostname} ${dirtyNs}`).sort(),
  ];

  it('lead to the same in whatever order, and however often, they are heard', () => {
    fc.assert(
      fc.property(
        fc
          .array(claim, { maxLength: 8 })
          .chain((claims) =>
            fc.tuple(
              fc.constant(claims),
              fc.shuffledSubarray([...claims, ...claims], { minLength: 2 * claims.length }),
            ),
          ),
        ([claims, again]) => {
          const [one, other] = [claims, again].map((heard) => {
            const store = instanceStore({ cancelledMs: 1_000_000 });
            for (const [n, { hostname, dirty, cancelled, version, label }] of heard.entries()) {
              const id = { env: 'e', appid: 'a', zone: 'z', hostname };
              const metadata = new Map(label === '' ? [] : [[label, '1']]);
              const said = { region: '', addrs: ['http://a'], version, status: 1, metadata } as const;
              if (cancelled) store.cancel({ ...id, dirty }, at(n));
              else store.register({ ...id, ...said, dirty }, at(n));
            }
            return state(store);
          });
          // A cancellation that something newer lifted is forgotten; what is listed is the same all the same.
          expect(one).toEqual(other);
        },
      ),
      { numRuns: 500 },
    );
  });
});

const name = fc.oneof(
  small('e', 'a', 'z', '', '__proto__', 'constructor', 'infra.discovery'),
  fc.string({ maxLength: 4 }),
);
const stamp = fc.oneof(
  fc.constantFrom('0', '1', '1700000000000000000', '9223372036854775807', '-5', '1e9'),
  fc.nat().map(String),
);
const entry = fc.record(
  {
    env: name,
    appid: name,
    zone: name,
    hostname: name,
    region: fc.oneof(name, fc.constant(null)),
    version: fc.oneof(name, fc.nat()),
    status: fc.constantFrom<unknown>(1, 2, 3, '1', null, {}),
    addrs: fc.oneof(
      fc.array(small('http://a:1', 'http://a:1,grpc://a:2', '', '\n')),
      fc.constant(null),
      fc.nat(),
    ),
    metadata: fc.oneof(fc.dictionary(name, fc.oneof(fc.string(), fc.nat())), fc.constant(null), fc.string()),
    dirty_timestamp: fc.oneof(stamp, fc.nat()),
    renew_timestamp: fc.oneof(stamp, fc.nat()),
    idle_ms: fc.constantFrom<unknown>(0, 5, -1, 1e300, 'x', null),
  },
  { requiredKeys: [] },
);
const list = fc.oneof(
  fc.array(fc.oneof(entry, fc.jsonValue({ maxDepth: 1 }))),
  fc.jsonValue({ maxDepth: 2 }),
);
const entries = fc.record(
  { records: list, cancelled: list, renewals: list, missing: list },
  { requiredKeys: [] },
);
const digest = fc.record(
  {
    node: name,
    synced: fc.boolean(),
    wall_ms: fc.constantFrom<unknown>(0, 1e300, -1, '1', 1_700_000_600_000),
    digest: fc.oneof(small('0'.repeat(4096), 'f'.repeat(4096)), fc.string()),
  },
  { requiredKeys: [] },
);
const reply = fc.record({
  status: fc.constantFrom(200, 200, 200, 404, 500),
  body: fc.oneof(
    fc
      .record({
        code: fc.constantFrom<unknown>(0, 0, 0, -404, -409, -500, '0', null),
        data: fc.oneof(entries, digest, entry, fc.dictionary(name, list)),
      })
      .map((body) => JSON.stringify(body)),
    fc.string(),
  ),
  dateMs: fc.constantFrom(undefined, 0, 1_700_000_000_000, 8e15),
});

async function node(replies: readonly { status: number; body: string; dateMs: number | undefined }[] = []) {
  const clock = manualClock();
  const faults: RegistryEvent[] = [];
  let sent = 0;
  const registry = createRegistry({
    listen: '127.0.0.1:0',
    peers: ['10.0.0.1:1', 'other=10.0.0.2:1'],
    clock,
    transport: {
      send: async () => {
        await new Promise<void>((resolve) => void clock.after(1, resolve));
        const given = replies[sent++ % Math.max(1, replies.length)];
        if (given === undefined) throw new Error('away');
        return given;
      },
      close: () => undefined,
    },
    limits: { instances: 30, cancelled: 20, peerQueue: 20, peers: 4 },
    onEvent: (event) => {
      if (event.name === 'fault') faults.push(event);
    },
  });
  await registry.listen();
  const sound = () => {
    expect(faults).toEqual([]);
    expect(Object.keys(Object.prototype)).toEqual([]);
    const { instances, cancelled, peers } = registry.stats();
    expect(instances).toBeLessThanOrEqual(30);
    expect(cancelled).toBeLessThanOrEqual(20);
    expect(peers.length).toBeLessThanOrEqual(4);
    for (const { queued } of peers) expect(queued).toBeLessThanOrEqual(20);
  };
  const close = () => Promise.all([registry.close(), clock.advance(10_000)]);
  return { clock, registry, sound, close };
}

describe('a node', () => {
  it('takes whatever is sent to it as a peer', async () => {
    const { registry, sound, close } = await node();
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          entries.map((one) => JSON.stringify(one)),
          fc.string(),
        ),
        fc.boolean(),
        async (text, relay) => {
          for (const [method, path] of [
            ['POST', 'merge'],
            ['GET', 'entries'],
            ['GET', 'digest'],
          ] as const) {
            const form = new URLSearchParams({
              entries: text,
              bucket: text.slice(0, 3),
              relay: String(relay),
              node: 'n',
            });
            const { status, body } = await registry.ask(method, `/discovery/peer/${path}`, form);
            expect(status).toBe(200);
            expect([0, -400, -509]).toContain(JSON.parse(body).code);
          }
          sound();
        },
      ),
      { numRuns: 300 },
    );
    await close();
  });

  it('survives whatever peers answer', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(reply, { minLength: 1, maxLength: 12 }), async (replies) => {
        const { clock, registry, sound, close } = await node(replies);
        const id = { env: 'e', appid: 'a', zone: 'default', hostname: 'h' };
        const write = (path: string, more: Record<string, string> = {}) => {
          void registry.ask('POST', `/discovery/${path}`, new URLSearchParams({ ...id, ...more }));
          return clock.advance(5_000);
        };
        await write('register', { status: '1', addrs: 'http://h:1' });
        await write('renew');
        await write('cancel');
        await clock.advance(70_000);
        expect(registry.stats().synced).toBe(true);
        sound();
        await close();
      }),
      { numRuns: 60 },
    );
  });
});
