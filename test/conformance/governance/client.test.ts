import { getEventListeners } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createApp, memory } from 'keelson';
import { threshold } from 'keelson/breaker';
import {
  createCall,
  type EjectionEvent,
  metadataKey,
  metadataOf,
  type Outcome,
  runWithCall,
  systemClock,
} from 'keelson/core';
import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { tracingSdk } from '../../doubles/tracing-sdk.js';
import { answer, type Behaviour, begin, die, fail, hang, type Inbound, shed } from './callee.js';
import { type Mesh, mesh, soon } from './mesh.js';
import { type Client, type Ended, mine, type Subject, service } from './subject.js';
import { axiosSubjects } from './subjects/axios.js';
import { connectSubjects } from './subjects/connect.js';
import { fetchSubject } from './subjects/fetch.js';
import { grpcSubjects } from './subjects/grpc.js';
import { niceSubjects } from './subjects/nice.js';
import { ticking } from './ticking.js';

// What governance means, over every client that can be governed: the same table, to the letter. What differs is only how
// each client tells of it in its own words, which the subject knows.

const subjects: readonly Subject[] = [
  fetchSubject,
  ...axiosSubjects,
  ...grpcSubjects,
  ...niceSubjects,
  ...connectSubjects,
];

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const open = async (...args: Parameters<typeof mesh>): Promise<Mesh> => {
  const made = await mesh(...args);
  closers.push(() => made.close());
  return made;
};

/** So many calls at one time. */
const together = (client: Client, count: number): Promise<Ended[]> =>
  Promise.all(Array.from({ length: count }, () => client.call()));

/** How long a call is given in these tests: only the manual clock gets there. */
const patienceMs = 10_000;

describe.each(subjects)('$name', (subject) => {
  const { natively, tell } = subject;
  /** Of clients that can send a call again. */
  const repeated = it.skipIf(subject.sendsOnce === true);
  const told = ({ ok, native }: Ended) => (ok ? 'ok' : tell(native));

  describe('a call', () => {
    it('that is answered is a success of the one that answered', async () => {
      const { client, arrivals, heard } = await open(subject);
      const { ok, by } = await client().call();
      expect([ok, arrivals.length, by]).toEqual([true, 1, arrivals[0]?.at.name]);
      expect(heard).toMatchObject([{ by, outcome: 'success' }]);
    });

    it('brings along who calls, what its caller says, and how long that will wait', async () => {
      const { client, arrivals } = await open(subject);
      const metadata = { 'x-own': 'blue', 'x-md-global-color': 'red' };
      await client().call({ metadata, timeoutMs: patienceMs });
      expect(arrivals[0]?.metadata).toMatchObject({ 'x-md-service-name': 'caller', ...metadata });
      expect(arrivals[0]?.leftMs).toBeGreaterThan(0);
      expect(arrivals[0]?.leftMs).toBeLessThanOrEqual(patienceMs);
    });

    it('that is made for an inbound one inherits its deadline, its metadata and its trace', async () => {
      const sdk = tracingSdk();
      closers.push(() => sdk.stop());
      const { client, arrivals, clock } = await open(subject);
      const users = client();
      const inbound = createCall({
        side: 'server',
        service: 'caller',
        operation: 'test',
        deadline: clock.now() + 5000,
      });
      await runWithCall(inbound, async () => {
        metadataOf().set(metadataKey('x-md-global-color'), 'green');
        await users.call();
      });
      const [arrival] = arrivals;
      expect(arrival?.metadata['x-md-global-color']).toBe('green');
      expect(arrival?.leftMs).toBeGreaterThan(0);
      expect(arrival?.leftMs).toBeLessThanOrEqual(5000);
      const [span] = await soon(() => {
        const spans = sdk.ofKind('CLIENT');
        expect(spans).toHaveLength(1);
        return spans;
      });
      const { traceId, spanId } = span?.spanContext() ?? {};
      expect(arrival?.metadata['traceparent']).toBe(`00-${traceId}-${spanId}-01`);
    });
  });

  describe.each<[string, Behaviour, 'failure' | 'death']>([
    ['fails', fail, 'failure'],
    ['dies in the middle', die, 'death'],
  ])('a callee that %s', (_, misfortune, kind) => {
    repeated('is followed by another, if the call may be sent twice', async () => {
      const { client, next, arrivals, heard } = await open(subject);
      next(misfortune);
      const { ok, by } = await client().call();
      expect([ok, arrivals.length, by]).toEqual([true, 2, arrivals[1]?.at.name]);
      expect(arrivals[0]?.at).not.toBe(arrivals[1]?.at);
      expect(heard).toMatchObject([
        { by: arrivals[0]?.at.name, outcome: 'failure' },
        { by, outcome: 'success' },
      ]);
    });

    it('is what the caller hears of natively, if it may not', async () => {
      const { client, next, arrivals, ended } = await open(subject);
      next(misfortune);
      const end = await client({ idempotent: false }).call();
      expect([told(end), arrivals.length]).toEqual([natively[kind], 1]);
      await ended(['failure']);
    });

    repeated('is what the caller hears of natively, if there is no other', async () => {
      const { client, next, arrivals, ended } = await open(subject);
      next(misfortune, misfortune);
      const end = await client().call();
      expect([told(end), arrivals.length]).toEqual([natively[kind], 2]);
      await ended(['failure', 'failure']);
    });
  });

  repeated('the budget bounds the tries of all calls together', async () => {
    const at = await open(subject);
    for (const one of at.replicas) one.does = fail;
    // Three to begin with: what it would have saved up in its ten seconds.
    const users = at.client({ retryBudget: { minPerSecond: 0.3, ratio: 0 } });
    const ends: Ended[] = [];
    for (let i = 0; i < 10; i++) ends.push(await users.call());
    expect(ends.map(told)).toEqual(Array(10).fill(natively.failure));
    expect(at.arrivals).toHaveLength(13);
    // Time enough for one more, and not for two.
    await at.clock.advance(6000);
    await users.call();
    expect(at.arrivals).toHaveLength(15);
    await users.call();
    expect(at.arrivals).toHaveLength(16);
  });

  describe('a callee that has too much to do', () => {
    repeated.each(['any', 'keelson'] as const)(
      'is left alone: the call goes elsewhere when the time has come that it asked for (said as by %s)',
      async (as) => {
        const { client, next, arrivals, arrived, ended, clock } = await open(subject);
        next(shed(1000, as));
        const waits: number[] = [];
        const running = client({
          retry: { baseMs: 0, onRetry: (_failed, waitMs) => waits.push(waitMs) },
        }).call();
        await soon(() => expect(waits).toEqual([1000]));
        await clock.advance(900);
        expect(arrivals).toHaveLength(1);
        await clock.advance(200);
        await arrived(2);
        const { ok, by } = await running;
        expect([ok, by]).toEqual([true, arrivals[1]?.at.name]);
        expect(arrivals[0]?.at).not.toBe(arrivals[1]?.at);
        await ended(['overload', 'success']);
      },
    );

    it('is what the caller hears of natively, where it is the only one', async () => {
      const { client, next, arrivals, ended } = await open(subject, 1);
      next(shed(1000));
      const end = await client().call();
      expect([told(end), arrivals.length]).toEqual([natively.overload, 1]);
      await ended(['overload']);
    });

    it('and asks for more time than a call waits is what the caller hears of at once', async () => {
      const { client, next, arrivals } = await open(subject);
      next(shed(30_000));
      expect([told(await client().call()), arrivals.length]).toEqual([natively.overload, 1]);
    });
  });

  describe('a caller that gives up', () => {
    it('ends the work of the callee, blames nobody, and hears of it natively', async () => {
      const at = await open(subject, 1);
      const breaker = threshold({ consecutiveFailures: 1 });
      const users = at.client({ gates: () => [breaker] });
      at.next(hang);
      const abort = new AbortController();
      const running = users.call({ signal: abort.signal });
      const [arrival] = await at.arrived(1);
      expect(at.inflight()).toBe(1);
      abort.abort(mine);
      expect(told(await running)).toBe(natively.abort);
      await soon(() => expect(arrival?.gone).toBe(true));
      await at.ended(['ignored']);
      expect(breaker.snapshot(at.clock.now())).toMatchObject({ state: 'closed', requests: 0 });
      expect((await users.call()).ok).toBe(true);
    });

    it('beforehand has sent nothing', async () => {
      const { client, arrivals, heard } = await open(subject);
      const end = await client().call({ signal: AbortSignal.abort(mine) });
      expect([told(end), arrivals.length]).toEqual([natively.abort, 0]);
      expect(heard.filter(({ outcome }) => outcome !== 'unsent' && outcome !== 'ignored')).toEqual([]);
    });

    repeated('while the next try is waited for makes none', async () => {
      const { client, next, arrivals, clock } = await open(subject);
      next(shed(1000));
      const waits: number[] = [];
      const abort = new AbortController();
      const users = client({ retry: { baseMs: 0, onRetry: (_failed, waitMs) => waits.push(waitMs) } });
      const running = users.call({ signal: abort.signal });
      await soon(() => expect(waits).toEqual([1000]));
      abort.abort(mine);
      expect(told(await running)).toBe(natively.abort);
      await clock.advance(5000);
      expect(arrivals).toHaveLength(1);
    });

    it('leaves nothing on a signal that lives on', async () => {
      const { client } = await open(subject);
      const { signal } = new AbortController();
      const users = client();
      for (let i = 0; i < 5; i++) expect((await users.call({ signal })).ok).toBe(true);
      await soon(() => expect(getEventListeners(signal, 'abort')).toEqual([]));
    });
  });

  describe('a deadline', () => {
    it('ends the call natively and the work of the callee, and is a failure', async () => {
      const { client, next, arrived, ended, clock, inflight } = await open(subject);
      next(hang);
      const running = client().call({ timeoutMs: patienceMs });
      const [arrival] = await arrived(1);
      await clock.advance(patienceMs);
      expect(told(await running)).toBe(natively.deadline);
      await soon(() => expect(arrival?.gone).toBe(true));
      await ended(['failure']);
      expect(inflight()).toBe(0);
    });

    repeated('of one try leaves time for another', async () => {
      const { client, next, arrived, clock, ended } = await open(subject);
      next(hang);
      const running = client({ perTryTimeoutMs: 2000 }).call();
      const [first] = await arrived(1);
      await clock.advance(2000);
      const { ok, by } = await running;
      expect([ok, by === first?.at.name]).toEqual([true, false]);
      await soon(() => expect(first?.gone).toBe(true));
      await ended(['failure', 'success']);
    });

    it('that is over beforehand sends nothing', async () => {
      const { client, arrivals, clock } = await open(subject);
      const users = client();
      const inbound = createCall({
        side: 'server',
        service: 'caller',
        operation: 'test',
        deadline: clock.now() - 1,
      });
      const end = await runWithCall(inbound, () => users.call());
      expect([end.ok, arrivals.length]).toEqual([false, 0]);
    });

    it('costs a callee that hangs its place', async () => {
      const at = await open(subject);
      const [bad, good] = at.replicas;
      const ejections: EjectionEvent[] = [];
      at.app.events.on('ejection', (event) => ejections.push(event));
      const users = at.client({ idempotent: false, ejection: { consecutiveFailures: 3, windowMs: 600_000 } });
      bad.does = hang;
      for (let wave = 0; wave < 20 && ejections.length === 0; wave++) {
        const before = at.arrivals.length;
        const calls = Array.from({ length: 12 }, () => users.call({ timeoutMs: patienceMs }));
        await at.arrived(before + calls.length);
        await at.clock.advance(patienceMs);
        await Promise.all(calls);
      }
      expect(ejections).toMatchObject([{ ejected: true, endpoint: expect.stringContaining(bad.url) }]);
      const hung = bad.arrivals.length;
      const ends = await together(users, 10);
      expect(ends.map(({ by }) => by)).toEqual(Array(10).fill(good.name));
      expect(bad.arrivals).toHaveLength(hung);
    });
  });

  repeated('a hedge answers for a slow callee, whose copy is cancelled and blamed for nothing', async () => {
    const { client, next, arrived, heard, clock } = await open(subject);
    next(hang);
    const running = client({ hedge: { delayMs: 100 }, retry: false }).call();
    const [slow] = await arrived(1);
    await clock.advance(104);
    const { ok, by } = await running;
    expect([ok, by === slow?.at.name]).toEqual([true, false]);
    await soon(() => expect(slow?.gone).toBe(true));
    await soon(() => expect(heard).toHaveLength(2));
    expect(heard.find((one) => one.by === slow?.at.name)?.outcome).toBe('ignored');
    expect(heard.find((one) => one.by === by)?.outcome).toBe('success');
  });

  it('no hedge is made of a call that may not be sent twice', async () => {
    const { client, next, arrived, arrivals, clock } = await open(subject);
    next(hang);
    const running = client({ idempotent: false, hedge: { delayMs: 100 } }).call();
    const [slow] = await arrived(1);
    await clock.advance(1000);
    slow?.answer('late');
    expect([(await running).by, arrivals.length]).toEqual(['late', 1]);
  });

  it('a replica that fails is ejected, and comes back when it is well', async () => {
    const at = await open(subject, 3);
    const [bad] = at.replicas;
    const ejections: EjectionEvent[] = [];
    at.app.events.on('ejection', (event) => ejections.push(event));
    const users = at.client({
      idempotent: false,
      ejection: { consecutiveFailures: 3, baseEjectionMs: 3000 },
    });
    bad.does = fail;
    for (let wave = 0; wave < 50 && ejections.length === 0; wave++) {
      await together(users, 12);
      // A failure counts as a long time to answer, which is forgotten by and by.
      if (ejections.length === 0) await at.clock.advance(2000);
    }
    expect(ejections).toMatchObject([{ service, ejected: true, endpoint: expect.stringContaining(bad.url) }]);
    const before = bad.arrivals.length;
    const ends = [...(await together(users, 10)), ...(await together(users, 10))];
    expect(ends.map(told)).toEqual(Array(20).fill('ok'));
    expect(bad.arrivals).toHaveLength(before);
    bad.does = answer;
    await at.clock.advance(3000);
    expect((await users.call()).by).toBe(bad.name);
    await soon(() => expect(ejections[1]).toMatchObject({ ejected: false, reason: 'probe' }));
  });

  it('what a breaker refuses costs no network, until it lets a probe through', async () => {
    const at = await open(subject, 1);
    const [only] = at.replicas;
    const users = at.client({
      idempotent: false,
      gates: () => [threshold({ consecutiveFailures: 3, openMs: 5000, jitterRatio: 0, probes: 1 })],
    });
    only.does = fail;
    for (let i = 0; i < 3; i++) expect(told(await users.call())).toBe(natively.failure);
    const { connections } = only;
    for (let i = 0; i < 5; i++) expect(told(await users.call())).toBe(natively.refusal);
    expect([only.arrivals.length, only.connections]).toEqual([3, connections]);
    only.does = answer;
    await at.clock.advance(5000);
    expect((await users.call()).by).toBe(only.name);
    expect(at.heard.map(({ outcome }) => outcome)).toEqual([
      ...Array(3).fill('failure'),
      ...Array(5).fill('unsent'),
      'success',
    ]);
  });

  it('connections are used again', async () => {
    const { client, replicas } = await open(subject, 1);
    const users = client();
    for (let i = 0; i < 10; i++) expect((await users.call()).ok).toBe(true);
    // A call that follows at once may find the connection of the last one not quite free.
    expect(replicas[0].connections).toBeLessThanOrEqual(2);
  });

  describe('under load', () => {
    /** Keeps some calls under way until it is stopped. */
    function load(users: Client) {
      const counts = [0, 0, 0];
      const ends = new Set<string>();
      let running = true;
      const work = async (worker: number) => {
        while (running) {
          ends.add(told(await users.call()));
          counts[worker] = (counts[worker] ?? 0) + 1;
        }
      };
      const all = Promise.all(counts.map((_, worker) => work(worker)));
      /** Until every one of them has made so many calls from beginning to end. */
      const more = (each: number) => {
        const goals = counts.map((count) => count + each + 1);
        return soon(() => expect(goals.every((goal, at) => (counts[at] ?? 0) >= goal)).toBe(true));
      };
      const stop = async () => {
        running = false;
        await all;
        return ends;
      };
      return { size: counts.length, more, stop };
    }

    repeated('a replica that is killed costs no call that may be sent twice', async () => {
      const at = await open(subject, 3, { clock: systemClock });
      const users = subject.connect(at.app, { idempotent: true }, systemClock);
      closers.push(() => users.close?.());
      const traffic = load(users);
      await traffic.more(4);
      for (const one of at.replicas) one.does = hang;
      await soon(() => expect(at.waiting()).toHaveLength(traffic.size));
      const waiting = at.waiting();
      for (const one of at.replicas) one.does = answer;
      at.replicas[0].kill();
      for (const arrival of waiting) if (arrival.at !== at.replicas[0]) answer(arrival);
      await traffic.more(6);
      expect(await traffic.stop()).toEqual(new Set(['ok']));
    });

    it('replicas that are replaced one by one in an orderly way cost no call at all', async () => {
      const registry = memory();
      const clock = manualClock();
      const start = async () => {
        const app = createApp({ service, registry, signals: false, drainPauseMs: 1000, clock });
        const made = await subject.callee.make((inbound) => setImmediate(() => inbound.answer('ok')), app);
        closers.push(
          () => made.close(),
          () => ticking(clock, app.stop()),
        );
        await app.serve(made.servable, { host: '127.0.0.1' });
        return app;
      };
      const served = [await start(), await start()];
      const app = createApp({ service: 'caller', registry, signals: false });
      const users = subject.connect(app, { idempotent: false, retry: false }, systemClock);
      const traffic = load(users);
      for (const one of served) {
        await traffic.more(1);
        await start();
        const stopping = one.stop();
        // The pause is for calls that are on their way while the clients hear of it.
        await traffic.more(1);
        await clock.advance(1000);
        await ticking(clock, stopping);
      }
      await traffic.more(1);
      expect(await traffic.stop()).toEqual(new Set(['ok']));
      const inflight = () => app.snapshot().flatMap(({ endpoints }) => endpoints.map((one) => one.inflight));
      await soon(() => expect(inflight()).toEqual([0, 0]));
      await users.close?.();
      await app.stop();
    });
  });

  it('a call that is under way when its replica leaves ends as if it stayed', async () => {
    const registry = memory();
    const clock = manualClock();
    const inbound: Inbound[] = [];
    const server = createApp({ service, registry, signals: false, drainPauseMs: 1000, clock });
    const made = await subject.callee.make((one) => inbound.push(one), server);
    await server.serve(made.servable, { host: '127.0.0.1' });
    const app = createApp({ service: 'caller', registry, signals: false });
    const users = subject.connect(app, { idempotent: false, retry: false }, systemClock);
    closers.push(
      () => made.close(),
      () => app.stop(),
      () => users.close?.(),
    );
    const running = users.call();
    await soon(() => expect(inbound).toHaveLength(1));
    let stopped = false;
    const stopping = server.stop().then(() => {
      stopped = true;
    });
    await clock.advance(1000);
    // It has left, and waits for this call alone.
    expect([app.snapshot()[0]?.endpoints, stopped]).toEqual([[], false]);
    inbound[0]?.answer('last');
    expect(await running).toMatchObject({ ok: true, by: 'last' });
    await ticking(clock, stopping);
  });
});

describe.each(subjects.filter(({ name }) => !/unary|client stream/.test(name)))(
  'an answer that is read part by part by $name',
  (subject) => {
    const begun = async () => {
      const at = await open(subject);
      at.next(begin);
      const abort = new AbortController();
      const users = at.client();
      const opening = users.open?.({ signal: abort.signal, timeoutMs: patienceMs });
      const stream = await opening;
      const first = await stream?.next();
      const [arrival] = await at.arrived(1);
      expect(first).toBe(arrival?.at.name);
      expect([at.inflight(), at.heard]).toEqual([1, []]);
      const over = (rest: Outcome) =>
        soon(() => expect(at.heard).toMatchObject([{ outcome: 'success', rest }]));
      return { ...at, stream, arrival, abort, over };
    };

    it('holds its place to its end, though its deadline was for its beginning', async () => {
      const { stream, arrival, over, clock } = await begun();
      await clock.advance(patienceMs / 2);
      arrival?.end();
      expect(await stream?.next()).toBeUndefined();
      await over('success');
    });

    it('gives its place back when its reader leaves, and the callee stops', async () => {
      const { stream, arrival, over } = await begun();
      await stream?.leave();
      await soon(() => {
        if (subject.leavesSilently) collect();
        expect(arrival?.gone).toBe(true);
      });
      await over('ignored');
    });

    it('gives its place back when its caller gives up, and the callee stops', async () => {
      const { stream, arrival, over, abort } = await begun();
      const reading = stream?.next().then(
        () => 'read',
        (error: unknown) => error,
      );
      abort.abort(mine);
      expect(await reading).not.toBe('read');
      await soon(() => expect(arrival?.gone).toBe(true));
      await over('ignored');
    });

    it('that breaks off is an error to its reader, and a failure', async () => {
      const { stream, arrival, over } = await begun();
      const reading = stream?.next().then(
        () => 'read',
        (error: unknown) => error,
      );
      arrival?.at.kill();
      expect(await reading).toBeInstanceOf(Error);
      await over('failure');
    });
  },
);
