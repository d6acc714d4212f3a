import {
  type Call,
  createCall,
  fork,
  type Handler,
  type Outcome,
  type Protocol,
  refusal,
} from 'keelson/core';
import { manualClock } from 'keelson/testing';
import { type Edge, type EdgePeriod, type TopologyOptions, topology } from 'keelson/topology';
import { describe, expect, it, vi } from 'vitest';

type Answer = Outcome | { readonly bytes: number };
const protocol: Protocol<string, Answer> = {
  classify: (answer) => (answer === undefined ? 'failure' : typeof answer === 'string' ? answer : 'success'),
};

function scene(options: Partial<TopologyOptions> = {}) {
  const clock = manualClock(1_000_000);
  const topo = topology({ service: 'orders', clock, ...options });
  const callTo = (
    callee: string,
    operation = 'GET',
    leaf: Handler<string, Answer> = async () => 'success',
  ) => {
    const handler = topo.client<string, Answer>({ callee, protocol })(leaf);
    return handler('?', createCall({ side: 'client', service: callee, operation }));
  };
  const callFrom = (caller: string | undefined, operation = 'GET') => {
    const handler = topo.server<string, Answer>({ protocol, callerOf: () => caller })(async () => 'success');
    return handler('?', createCall({ side: 'server', service: 'orders', operation }));
  };
  return { clock, topo, callTo, callFrom };
}

const nameOf = ({ caller, callee, operation }: Edge) => `${caller} > ${callee} ${operation}`;
const counts = (edges: readonly Edge[]) =>
  Object.fromEntries(edges.map((edge) => [nameOf(edge), edge.count]));
const totalOf = (edges: readonly Edge[]) => edges.reduce((sum, { count }) => sum + count, 0);
const periods: readonly EdgePeriod[] = ['last', 'current', 'total'];

describe('edges of a client', () => {
  it('are counted by callee and operation, in the window that has begun and since the start', async () => {
    const { topo, callTo } = scene();
    await callTo('users', 'GET /users/:id');
    await callTo('users', 'GET /users/:id');
    await callTo('stock', 'POST /reservations');
    const expected = { 'orders > users GET /users/:id': 2, 'orders > stock POST /reservations': 1 };
    expect(counts(topo.edges('current'))).toEqual(expected);
    expect(counts(topo.edges('total'))).toEqual(expected);
    expect(topo.edges()).toEqual([]);
  });

  it('say how long calls took, to within 2 %', async () => {
    const { clock, topo, callTo } = scene();
    for (let ms = 1; ms <= 100; ms++) {
      await callTo('users', 'GET', async () => {
        clock.advanceSync(ms);
        return 'success';
      });
    }
    const [edge] = topo.edges('total');
    expect(edge?.durationMs.sum).toBe(5050);
    expect(edge?.durationMs.max).toBe(100);
    for (const [found, exact] of [
      [edge?.durationMs.p50, 50],
      [edge?.durationMs.p95, 95],
      [edge?.durationMs.p99, 99],
    ] as const)
      expect(Math.abs((found as number) / exact - 1)).toBeLessThanOrEqual(0.02);
  });

  it.each<[Outcome, number]>([
    ['success', 0],
    ['failure', 1],
    ['overload', 1],
    ['ignored', 0],
  ])('that were answered with %s have %d errors', async (outcome, errors) => {
    const { topo, callTo } = scene();
    await callTo('users', 'GET', async () => outcome);
    const [edge] = topo.edges('current');
    expect(edge).toMatchObject({ count: 1, errors, ends: [{ outcome, flag: '-', count: 1 }] });
  });

  const codeError = (code: string) => Object.assign(new Error(code), { code });
  it.each<[string, unknown, Outcome, string]>([
    ['a refusal by a breaker', refusal('BREAKER_OPEN', '', { side: 'client' }), 'unsent', 'UO'],
    ['no endpoint', refusal('NO_ENDPOINT', '', { side: 'client' }), 'unsent', 'UH'],
    ['a rate', refusal('RATE_LIMITED', '', { side: 'client' }), 'unsent', 'RL'],
    ['time that ran out', refusal('DEADLINE_EXCEEDED', '', { side: 'client' }), 'failure', 'UT'],
    ['no connection', codeError('ECONNREFUSED'), 'failure', 'UF'],
    ['a reset', new TypeError('fetch failed', { cause: codeError('ECONNRESET') }), 'failure', 'UC'],
    ['something else', new Error('?'), 'failure', '-'],
    ['nothing', undefined, 'failure', '-'],
  ])('tell %s by its flag', async (_what, error, outcome, flag) => {
    const { topo, callTo } = scene();
    const thrown = await callTo('users', 'GET', () => Promise.reject(error)).then(
      () => 'nothing',
      (it: unknown) => it,
    );
    expect(thrown).toBe(error);
    expect(topo.edges('current')[0]?.ends).toEqual([{ outcome, flag, count: 1 }]);
  });

  it('tell a caller that gave up, which is no error', async () => {
    const { topo } = scene();
    const cancel = {
      aborted: true,
      reason: 'enough',
      onAbort: () => () => undefined,
      signal: AbortSignal.abort(),
    };
    const handler = topo.client<string, Answer>({ callee: 'users', protocol })(() =>
      Promise.reject('enough'),
    );
    await handler('?', createCall({ side: 'client', service: 'users', operation: 'GET', cancel })).catch(
      () => 0,
    );
    expect(topo.edges('current')[0]).toMatchObject({
      errors: 0,
      ends: [{ outcome: 'ignored', flag: 'DC', count: 1 }],
    });
  });

  it('count a call once, however often it is tried, and its tries', async () => {
    const { topo, callTo } = scene();
    const thrice = (end: Outcome) => (_: string, call: Call) => {
      fork(fork(call));
      return Promise.resolve<Answer>(end);
    };
    await callTo('users', 'GET', thrice('success'));
    await callTo('users', 'GET', thrice('failure'));
    expect(topo.edges('current')[0]).toMatchObject({
      count: 2,
      tries: 6,
      errors: 1,
      ends: [
        { outcome: 'success', flag: '-', count: 1 },
        { outcome: 'failure', flag: 'URX', count: 1 },
      ],
    });
  });

  it('of two clients of one service are the same', async () => {
    const { topo, callTo } = scene();
    await Promise.all([callTo('users'), callTo('users')]);
    expect(topo.edges('total')).toHaveLength(1);
  });

  it('count bytes where they are known', async () => {
    const { topo } = scene();
    const sizes = {
      request: (text: string) => text.length,
      response: (answer: Answer) => (typeof answer === 'string' ? undefined : answer.bytes),
    };
    const answers: Answer[] = ['success', { bytes: 40 }, { bytes: 2 }];
    const handler = topo.client<string, Answer>({ callee: 'users', protocol, sizes })(
      async () => answers.pop()!,
    );
    for (let i = 0; i < 3; i++)
      await handler('abc', createCall({ side: 'client', service: 'users', operation: 'GET' }));
    expect(topo.edges('total')[0]).toMatchObject({ requestBytes: 9, responseBytes: 42 });
  });

  it('know no bytes where nobody knows them', async () => {
    const { topo, callTo } = scene();
    await callTo('users');
    const [edge] = topo.edges('total');
    expect([edge?.requestBytes, edge?.responseBytes]).toEqual([undefined, undefined]);
  });

  it('stay out of the way of a protocol that throws', async () => {
    const { topo } = scene();
    const broken: Protocol<string, Answer> = {
      classify: () => {
        throw new Error('a bug');
      },
    };
    const call = () => createCall({ side: 'client', service: 'users', operation: 'GET' });
    const answers = topo.client<string, Answer>({ callee: 'users', protocol: broken })(async () => 'success');
    await expect(answers('?', call())).resolves.toBe('success');
    const fails = topo.client<string, Answer>({ callee: 'users', protocol: broken })(() =>
      Promise.reject('no'),
    );
    await expect(fails('?', call())).rejects.toBe('no');
  });
});

describe('edges of a server', () => {
  it('are counted by caller, strangers together', async () => {
    const { topo, callFrom } = scene();
    await callFrom('web', 'GET /orders/:id');
    await callFrom('web', 'GET /orders/:id');
    await callFrom(undefined, 'GET /orders/:id');
    expect(counts(topo.edges('current'))).toEqual({
      'web > orders GET /orders/:id': 2,
      'unknown > orders GET /orders/:id': 1,
    });
    expect(new Set(topo.edges('current').map(({ side }) => side))).toEqual(new Set(['server']));
  });

  it('have no flag for what happened further down', async () => {
    const { topo } = scene();
    const further = refusal('BREAKER_OPEN', '', { side: 'client' });
    const handler = topo.server<string, Answer>({ protocol, callerOf: () => 'web' })(() =>
      Promise.reject(further),
    );
    await handler('?', createCall({ side: 'server', service: 'orders', operation: 'GET' })).catch(() => 0);
    expect(topo.edges('current')[0]?.ends).toEqual([{ outcome: 'failure', flag: '-', count: 1 }]);
  });

  it('count what was refused before it was a call', () => {
    const { topo } = scene();
    topo.refused('OVERLOADED', 'GET /orders/:id');
    topo.refused('RATE_LIMITED', undefined);
    topo.refused('OVERLOADED', 'GET /orders/:id', 'web');
    topo.refused('OVERLOADED', 'GET /orders/:id', 'web');
    expect(topo.edges('current')).toMatchObject([
      {
        caller: 'unknown',
        operation: 'GET /orders/:id',
        errors: 1,
        ends: [{ outcome: 'unsent', flag: 'OM' }],
      },
      { caller: 'unknown', operation: 'unknown', errors: 1, ends: [{ outcome: 'unsent', flag: 'RL' }] },
      { caller: 'web', errors: 2, ends: [{ outcome: 'unsent', flag: 'OM', count: 2 }] },
    ]);
  });
});

describe('edges of messages', () => {
  it('lead to where messages wait and from there', () => {
    const { topo } = scene();
    topo.sent({ destination: 'invoices', durationMs: 3, bytes: 100 });
    topo.processed({ destination: 'mails', producer: 'billing', durationMs: 20 });
    topo.processed({ destination: 'mails', producer: 'billing', outcome: 'failure' });
    topo.processed({ destination: 'mails' });
    expect(topo.edges('current')).toMatchObject([
      { side: 'producer', caller: 'orders', callee: 'unknown', destination: 'invoices', operation: 'send' },
      {
        side: 'consumer',
        caller: 'billing',
        callee: 'orders',
        destination: 'mails',
        operation: 'process',
        count: 2,
      },
      { side: 'consumer', caller: 'unknown', callee: 'orders', destination: 'mails', count: 1 },
    ]);
    expect(topo.edges('current')[0]).toMatchObject({ requestBytes: 100, durationMs: { sum: 3 } });
    expect(topo.edges('current')[1]).toMatchObject({ errors: 1, durationMs: { sum: 20 } });
  });

  it.each([undefined, '', 7, {}, 'a\nb', '\u0000', 'x'.repeat(257)])(
    'take %j for a name that nobody knows',
    (name) => {
      const { topo } = scene();
      topo.processed({ destination: name as string, producer: name as string, operation: name as string });
      const [edge] = topo.edges('current');
      expect(edge?.destination).toBe('unknown');
      expect(edge?.caller).toBe('unknown');
      expect(['unknown', 'process']).toContain(edge?.operation);
    },
  );

  it.each([-5, Number.NaN, Number.NEGATIVE_INFINITY])('take %d ms for no time', (durationMs) => {
    const { topo } = scene();
    topo.sent({ destination: 'invoices', durationMs, bytes: durationMs });
    expect(topo.edges('current')[0]).toMatchObject({
      durationMs: { sum: 0, max: 0 },
      requestBytes: undefined,
    });
  });
});

describe('windows', () => {
  it('are over after their length, and then the last', async () => {
    const { clock, topo, callTo } = scene();
    await callTo('users');
    clock.advanceSync(10_000);
    expect(periods.map((period) => totalOf(topo.edges(period)))).toEqual([1, 0, 1]);
    await callTo('users');
    await callTo('users');
    expect(periods.map((period) => totalOf(topo.edges(period)))).toEqual([1, 2, 3]);
    clock.advanceSync(10_000);
    expect(periods.map((period) => totalOf(topo.edges(period)))).toEqual([2, 0, 3]);
    clock.advanceSync(10_000);
    expect(periods.map((period) => totalOf(topo.edges(period)))).toEqual([0, 0, 3]);
    await callTo('users');
    expect(periods.map((period) => totalOf(topo.edges(period)))).toEqual([0, 1, 4]);
  });

  it('begin at whole multiples of their length', async () => {
    const { clock, topo, callTo } = scene({ windowMs: 1000 });
    clock.advanceSync(999);
    await callTo('users');
    clock.advanceSync(1);
    expect(totalOf(topo.edges('last'))).toBe(1);
  });

  it('are told once each, by the first call in them', async () => {
    const onWindow = vi.fn(() => {
      throw new Error('whoever listens');
    });
    const { clock, callTo } = scene({ onWindow });
    await callTo('users');
    await callTo('stock');
    expect(onWindow).toHaveBeenCalledTimes(1);
    clock.advanceSync(25_000);
    await callTo('stock');
    await callTo('users');
    expect(onWindow).toHaveBeenCalledTimes(2);
  });

  it('go on when the clock steps back a little, and begin anew when it was restarted; nothing is lost', async () => {
    const { clock, topo, callTo } = scene();
    await callTo('users');
    clock.advanceSync(-5000);
    await callTo('users');
    expect(totalOf(topo.edges('current'))).toBe(2);
    clock.advanceSync(-500_000);
    await callTo('users');
    expect(totalOf(topo.edges('current'))).toBe(1);
    expect(totalOf(topo.edges('total'))).toBe(3);
    expect(topo.edges('total')[0]?.durationMs.sum).toBe(0);
  });

  it('survive a clock that tells no time', async () => {
    let time = 1000;
    const clock = { ...manualClock(), now: () => time };
    const topo = topology({ service: 'orders', clock });
    topo.sent({ destination: 'a' });
    time = Number.NaN;
    topo.sent({ destination: 'a' });
    time = Number.POSITIVE_INFINITY;
    topo.sent({ destination: 'a' });
    time = 1000;
    expect(totalOf(topo.edges('total'))).toBe(3);
  });
});

describe('bounds', () => {
  it('count together what there is no room for', async () => {
    const { topo, callTo } = scene({ maxEdges: 2 });
    for (const callee of ['a', 'b', 'c', 'd', 'a']) await callTo(callee);
    expect(counts(topo.edges('current'))).toEqual({
      'orders > a GET': 2,
      'orders > b GET': 1,
      'orders > other other': 2,
    });
  });

  it('let nobody who is in use go for a stranger', async () => {
    const { clock, topo, callFrom } = scene({ maxEdges: 3 });
    for (let round = 0; round < 5; round++) {
      await callFrom('web');
      await callFrom('mobile');
      for (let stranger = 0; stranger < 50; stranger++) await callFrom(`invented-${round}-${stranger}`);
      clock.advanceSync(10_000);
    }
    const total = counts(topo.edges('total'));
    expect(total['web > orders GET']).toBe(5);
    expect(total['mobile > orders GET']).toBe(5);
    expect(totalOf(topo.edges('total'))).toBe(5 * 52);
    expect(topo.edges('total').length).toBeLessThanOrEqual(4);
  });

  it('let the least recently used go, whose calls are still in the sum', async () => {
    const { clock, topo, callTo } = scene({ maxEdges: 2 });
    await callTo('old');
    await callTo('old');
    clock.advanceSync(10_000);
    await callTo('not so old');
    clock.advanceSync(20_000);
    await callTo('next');
    expect(counts(topo.edges('total'))).toEqual({
      'orders > not so old GET': 1,
      'orders > next GET': 1,
      'orders > other other': 2,
    });
  });

  it('never let a counter tell the calls of one edge under two names', async () => {
    const { clock, topo, callTo } = scene({ maxEdges: 2 });
    /** What somebody has who adds up the increases of each series, as Prometheus does: one that falls has begun anew. */
    const added = new Map<string, number>();
    let seen = new Map<string, number>();
    const scrape = () => {
      const now = new Map(topo.counters().map((edge) => [nameOf(edge), edge.count]));
      for (const [name, count] of now) {
        const before = seen.get(name) ?? 0;
        added.set(name, (added.get(name) ?? 0) + (count < before ? count : count - before));
      }
      seen = new Map([...seen, ...now]);
    };
    for (const callee of ['a', 'a', 'a', 'b', 'b', 'b']) await callTo(callee);
    scrape();
    for (const callee of ['c', 'd', 'a', 'b', 'e']) {
      clock.advanceSync(30_000);
      await callTo(callee);
      await callTo(callee);
      scrape();
    }
    expect(Object.fromEntries(added)).toEqual({
      'orders > a GET': 5,
      'orders > b GET': 5,
      'orders > c GET': 2,
      'orders > d GET': 2,
      'orders > e GET': 2,
    });
    expect(totalOf(topo.edges('total'))).toBe(16);
  });

  it('have in a counter the calls that there was no room for', async () => {
    const { topo, callTo } = scene({ maxEdges: 1 });
    for (const callee of ['a', 'b', 'c', 'a']) await callTo(callee);
    expect(counts(topo.counters())).toEqual({ 'orders > a GET': 2, 'orders > other other': 2 });
  });

  it('have room again for one that had to go', async () => {
    const { clock, topo, callFrom } = scene({ maxEdges: 1 });
    for (const caller of ['web', 'mobile', 'web', 'mobile']) {
      clock.advanceSync(30_000);
      await callFrom('clockwork');
      await callFrom(caller);
      clock.advanceSync(30_000);
      await callFrom(caller);
    }
    expect(totalOf(topo.edges('total'))).toBe(12);
    expect(topo.edges('total')).toHaveLength(2);
  });
});

describe('topology', () => {
  it.each([
    [{ service: '' }, TypeError, 'topology.service'],
    [{ service: 'a', windowMs: 99 }, RangeError, 'topology.windowMs'],
    [{ service: 'a', maxEdges: 0 }, RangeError, 'topology.maxEdges'],
    [{ service: 'a', maxEdges: 1.5 }, RangeError, 'topology.maxEdges'],
    [{ service: 'a', maxEdgs: 2 }, TypeError, 'maxEdgs'],
    [undefined, TypeError, 'topology.service'],
  ])('refuses %j', (options, kind, named) => {
    const make = () => topology(options as TopologyOptions);
    expect(make).toThrow(kind);
    expect(make).toThrow(named);
  });

  it('refuses a client without a name or a protocol, and a server that cannot tell who calls', () => {
    const topo = topology({ service: 'orders' });
    expect(() => topo.client({ callee: '', protocol })).toThrow('topology.client.callee');
    expect(() => topo.client({ callee: 'users' } as never)).toThrow('topology.client.protocol');
    expect(() => topo.server({ protocol } as never)).toThrow('topology.server.callerOf');
    expect(() => topo.server({ callerOf: () => 'a' } as never)).toThrow('topology.server.protocol');
  });
});
