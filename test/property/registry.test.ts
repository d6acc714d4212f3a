import http from 'node:http';
import fc from 'fast-check';
import {
  createRegistry,
  drawVictims,
  type InstanceId,
  type Instant,
  instanceStore,
  type RegistryServer,
  renewalGuard,
  type Waiter,
  waitingRoom,
} from 'keelson/registry';
import { manualClock } from 'keelson/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

const wall = 1_700_000_000_000_000_000n;
const small = (...values: string[]) => fc.constantFrom(...values);
const identity = fc.record({
  env: small('e', 'f'),
  appid: small('a', 'b', '__proto__'),
  zone: small('y', 'z'),
  hostname: small('1', '2', '3'),
});
const stamp = fc.option(fc.bigInt({ min: -10n, max: 2n ** 63n }), { nil: undefined });
const moment: fc.Arbitrary<Instant> = fc.record({
  ms: fc.integer({ min: -1_000, max: 10_000 }),
  // A wall clock that jumps about by hours.
  ns: fc.bigInt({ min: wall - 10n ** 13n, max: wall + 10n ** 13n }),
});
const action = fc.oneof(
  fc.record({ kind: fc.constant('register' as const), id: identity, stamp, dirty: stamp }),
  fc.record({ kind: fc.constant('cancel' as const), id: identity, stamp }),
  fc.record({ kind: fc.constant('renew' as const), id: identity }),
  fc.record({ kind: fc.constant('set' as const), id: identity, stamp }),
  fc.record({ kind: fc.constant('evict' as const), seed: fc.nat(100) }),
  fc.record({ kind: fc.constant('forget' as const) }),
);
const keyOf = ({ env, appid, zone, hostname }: InstanceId) => JSON.stringify([env, appid, zone, hostname]);

describe('instance store', () => {
  it('keeps every counter rising, every change told, and exactly who is registered', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(action, moment), { maxLength: 60 }), (steps) => {
        const changed: string[] = [];
        const store = instanceStore({ limits: { emptyApps: 1 }, onChange: (key) => changed.push(key) });
        const live = new Set<string>();
        const counters = new Map<string, bigint>();
        for (const [step, at] of steps) {
          changed.length = 0;
          if (step.kind === 'register') {
            const { dirty, stamp: latest } = step;
            const said = { region: '', addrs: ['x'], version: '', status: 1, metadata: new Map() } as const;
            store.register({ ...step.id, ...said, dirty, latest }, at);
            live.add(keyOf(step.id));
          } else if (step.kind === 'cancel') {
            expect(store.cancel(step.id, at, step.stamp)).toBe(live.delete(keyOf(step.id)));
          } else if (step.kind === 'renew') {
            expect(store.renew(step.id, at) !== undefined).toBe(live.has(keyOf(step.id)));
          } else if (step.kind === 'set') {
            const change = { ...step.id, hosts: [{ hostname: step.id.hostname, status: 2 as const }] };
            const set = () => store.set({ ...change, stamp: step.stamp }, at);
            if (live.has(keyOf(step.id))) set();
            else expect(set).toThrow();
          } else if (step.kind === 'evict') {
            const victims = [...store.records()].filter((_, n) => (step.seed >> (n % 7)) % 2 === 1);
            for (const victim of victims) live.delete(keyOf(victim));
            store.evict(victims, at);
          } else store.forgetEmptied(at.ms);

          expect(store.instances).toBe(live.size);
          expect([...store.records()]).toHaveLength(live.size);
          expect(new Set(changed).size).toBe(changed.length);
          for (const env of ['e', 'f'])
            for (const appid of ['a', 'b', '__proto__']) {
              const list = store.current({ env, appid, zone: '', status: 3 })?.json.toString();
              if (list === undefined) continue;
              JSON.parse(list);
              const now = BigInt(/"latest_timestamp":(\d+)\}$/.exec(list)?.[1] ?? -1);
              const name = `${env}/${appid}`;
              const before = counters.get(name) ?? 0n;
              const moved = changed.some((key) => key.endsWith(env + appid));
              expect(moved ? now > before : now === before).toBe(true);
              counters.set(name, now);
            }
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('renewal guard', () => {
  it('never expects less than nothing, and protects only below its own threshold', () => {
    const step = small('added', 'removed', 'heard', 'evicted', 'recount');
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 200 }),
        fc.integer({ min: 0, max: 5 }),
        (steps, minInstances) => {
          const guard = renewalGuard({ minInstances });
          for (const name of steps) {
            if (name === 'recount') guard.recount(3);
            else if (name === 'heard' || name === 'evicted') guard[name](2);
            else guard[name as 'added' | 'removed']();
            expect(guard.expected).toBeGreaterThanOrEqual(0);
            expect(guard.threshold).toBeLessThanOrEqual(guard.expected);
            expect(guard.seen).toBeGreaterThanOrEqual(0);
            if (guard.protecting) expect(guard.seen).toBeLessThan(guard.threshold);
          }
        },
      ),
    );
  });
});

describe('eviction', () => {
  it('draws distinct victims out of the expired, as many as it may', () => {
    const numbers = fc.uniqueArray(fc.integer(), { maxLength: 50 });
    const random = fc.infiniteStream(fc.double({ min: 0, max: 1 }));
    fc.assert(
      fc.property(numbers, fc.nat(60), random, (pool, limit, stream) => {
        const victims = drawVictims(pool, limit, () => stream.next().value);
        expect(new Set(victims).size).toBe(Math.min(limit, pool.length));
        for (const victim of victims) expect(pool).toContain(victim);
      }),
    );
  });
});

describe('waiting room', () => {
  it('answers whoever enters exactly once, unless they leave', () => {
    const key = small('1', '2', '3');
    const step = fc.oneof(
      fc.record({ kind: fc.constant('enter' as const), keys: fc.uniqueArray(key, { minLength: 1 }) }),
      fc.record({ kind: fc.constant('leave' as const), who: fc.nat(50) }),
      fc.record({ kind: fc.constant('wake' as const), key }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const room = waitingRoom();
        const all: { waiter: Waiter; answers: number; left: boolean }[] = [];
        for (const one of steps) {
          if (one.kind === 'enter') {
            const entry = { answers: 0, left: false };
            const answered = () => {
              record.answers++;
            };
            const record = { ...entry, waiter: { keys: one.keys, wake: answered, dismiss: answered } };
            all.push(record);
            room.enter(record.waiter);
          } else if (one.kind === 'wake') room.wake(one.key);
          else {
            const record = all[one.who];
            if (record && room.leave(record.waiter)) record.left = true;
          }
          const waiting = all.filter(({ answers, left }) => answers === 0 && !left);
          expect(room.size).toBe(waiting.length);
          expect(room.watches).toBe(waiting.reduce((sum, { waiter }) => sum + waiter.keys.length, 0));
        }
        room.clear();
        for (const { answers, left } of all) expect(answers + (left ? 1 : 0)).toBe(1);
      }),
    );
  });
});

describe('over HTTP', () => {
  let registry: RegistryServer;
  let url: string;
  const faults: unknown[] = [];
  const agent = new http.Agent({ keepAlive: true });
  beforeAll(async () => {
    const onEvent = (event: { name: string }) => {
      if (event.name === 'fault') faults.push(event);
    };
    registry = createRegistry({ listen: '127.0.0.1:0', pollParkMs: 5, limits: { instances: 50 }, onEvent });
    ({ url } = await registry.listen());
  });
  afterAll(async () => {
    agent.destroy();
    await registry.close();
  });

  const send = (method: string, path: string, body?: string, type = 'application/x-www-form-urlencoded') =>
    new Promise<{ status: number; text: string }>((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': type };
      const request = http.request(`${url}${path}`, { method, agent, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      request.on('error', reject);
      request.end(body);
    });

  const names = ['env', 'appid', 'zone', 'hostname', 'status', 'addrs', 'metadata', 'latest_timestamp'];
  const name = fc.oneof(
    small(...names, 'dirty_timestamp', 'replication', '__proto__'),
    fc.string({ maxLength: 5 }),
  );
  const value = fc.oneof(
    small(
      '1',
      '2',
      'a',
      'true',
      '-1',
      '1e9',
      '{}',
      '{"a":1}',
      '["a"]',
      'http://a:1',
      '%',
      '%zz',
      '+',
      '\0',
      '9'.repeat(40),
    ),
    fc.string({ unit: 'binary', maxLength: 30 }),
    fc.json({ maxDepth: 3 }),
  );
  const pairs = fc.array(fc.tuple(name, value), { maxLength: 14 });
  /** A request that is right but for what is laid over it: reaches deeper than noise alone. */
  const plausible = pairs.map((odd) => [
    ...odd,
    ...names.map(
      (one) => [one, one === 'addrs' ? 'http://a' : one === 'metadata' ? '{}' : '1'] as [string, string],
    ),
  ]);
  const form = fc.oneof(pairs, plausible).map((list) => new URLSearchParams(list).toString());
  const json = fc.oneof(
    fc.json(),
    fc.oneof(pairs, plausible).map((list) => JSON.stringify(Object.fromEntries(list.reverse()))),
    fc.string(),
  );
  const write = small('register', 'renew', 'cancel', 'set');
  const read = small('fetch', 'fetchs', 'fetch/all', 'poll', 'polls', 'nodes');

  it.each([
    [
      'forms',
      fc.tuple(
        fc.constant('POST'),
        write,
        fc.oneof(form, fc.string()),
        fc.constant('application/x-www-form-urlencoded'),
      ),
    ],
    ['JSON', fc.tuple(fc.constant('POST'), write, json, fc.constant('application/json'))],
    ['queries', fc.tuple(fc.constant('GET'), read, form, fc.constant(''))],
  ])('takes whatever comes as %s', async (_, request) => {
    await fc.assert(
      fc.asyncProperty(request, async ([method, path, text, type]) => {
        const answer =
          method === 'GET'
            ? await send(method, `/discovery/${path}?${text}`)
            : await send(method, `/discovery/${path}`, text, type);
        expect(answer.status).toBe(200);
        const { code, message } = JSON.parse(answer.text);
        expect([0, -304, -400, -404, -409, -509]).toContain(code);
        expect(typeof message).toBe('string');
        expect(faults).toEqual([]);
      }),
      { numRuns: 250 },
    );
  });

  it('answers every poll that waits exactly once, whatever happens meanwhile', async () => {
    const change = fc.oneof(
      fc.record({ kind: small('register', 'cancel', 'set'), appid: small('a', 'b'), ms: fc.constant(0) }),
      fc.record({ kind: fc.constant('wait'), appid: fc.constant(''), ms: fc.constantFrom(10, 900, 30_000) }),
      fc.record({ kind: fc.constant('poll'), appid: small('a', 'b', 'both'), ms: fc.constant(0) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 5, maxLength: 25 }), async (changes) => {
        const clock = manualClock();
        const own = createRegistry({ listen: '127.0.0.1:0', clock });
        const at = (await own.listen()).url;
        const post = (path: string, more: Record<string, string>) =>
          fetch(`${at}/discovery/${path}`, {
            method: 'POST',
            body: new URLSearchParams({ env: 'e', zone: 'z', hostname: 'h', addrs: 'http://a', ...more }),
          }).then((response) => response.text());
        const answers: Promise<{ code: number }>[] = [];
        let answered = 0;
        for (const { kind, appid, ms } of changes) {
          if (kind === 'wait') clock.advanceSync(ms);
          else if (kind === 'poll') {
            const apps = appid === 'both' ? ['a', 'b'] : [appid];
            const far = '9000000000000000000';
            const query = apps.map((app) => `&appid=${app}&latest_timestamp=${far}`).join('');
            const { parkedPolls } = own.stats();
            answers.push(
              fetch(`${at}/discovery/polls?env=e&hostname=p${query}`).then((response) => {
                answered++;
                return response.json() as Promise<{ code: number }>;
              }),
            );
            await vi.waitFor(() => expect(own.stats().parkedPolls).toBe(parkedPolls + 1), { interval: 1 });
          } else await post(kind, { appid, status: kind === 'set' ? '2' : '1' });
        }
        await own.close();
        for (const { code } of await Promise.all(answers)) expect([0, -304, -500]).toContain(code);
        expect(answered).toBe(answers.length);
        expect(own.stats()).toMatchObject({ parkedPolls: 0, watches: 0 });
        expect(clock.pending).toBe(0);
      }),
      { numRuns: 25 },
    );
  });
});
