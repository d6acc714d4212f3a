import { type Balancer, roundRobin } from 'keelson/balancer';
import { threshold } from 'keelson/breaker';
import {
  type BreakerEvent,
  carrier,
  type EjectionEvent,
  type Gate,
  type InstancesEvent,
  type Middleware,
  type Outcome,
  type ResolverEvent,
} from 'keelson/core';
import { concurrency } from 'keelson/limiter';
import { type ClientStackOptions, clientStack, createBus } from 'keelson/stack';
import { seededRandom } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { answer, Body, Feed, instance, protocol, type Reply, scene } from './stack-scene.js';

/** A gate that writes down what it hears. */
function listening(log: string[] = []) {
  const gate: Gate = {
    code: 'OVERLOADED',
    tryAcquire: (_now, ask) => {
      log.push(`acquire ${ask?.operation}`);
      return {
        observe: (outcome: Outcome) => void log.push(`observe ${outcome}`),
        release: (outcome: Outcome) => void log.push(`release ${outcome}`),
      };
    },
  };
  return { gate, log };
}

const noting =
  (log: string[], name: string): Middleware<string, Reply> =>
  (next) =>
  (request, call) => {
    log.push(`${name} ${call.attempt.number}`);
    return next(request, call);
  };

describe('the order of a client', () => {
  it('is: user, limits once, retry, endpoint, gates per try, user per try', async () => {
    const log: string[] = [];
    const limit = listening();
    const { ask, clock } = scene([answer(500), answer(200)], {
      use: [noting(log, 'call')],
      useAttempt: [noting(log, 'try')],
      limits: [limit.gate],
      gates: ({ url }) => {
        const host = new URL(url).hostname;
        return [
          {
            code: 'BREAKER_OPEN',
            tryAcquire: () => {
              log.push('gate');
              return {
                observe: () => undefined,
                release: (outcome) => void log.push(`${host === 'a' ? '' : '?'}${outcome}`),
              };
            },
          },
        ];
      },
    });
    const asked = ask();
    await clock.advance(1000);
    expect(await asked).toBe('200 x');
    expect(log).toEqual(['call 1', 'gate', 'try 1', 'failure', 'gate', 'try 2', 'success']);
    expect(limit.log).toEqual(['acquire GET', 'observe success', 'release success']);
  });

  it('has the deadline over all tries, and tells each what is left', async () => {
    const { ask, clock, servers } = scene([answer(500, 'x', { afterMs: 300 }), { deaf: true }], {
      timeoutMs: 1000,
      retry: { baseMs: 0 },
    });
    const asked = ask({ headers: carrier() });
    await clock.advance(999);
    expect(servers.get('a')?.calls).toHaveLength(2);
    await clock.advance(10);
    expect(await asked).toBe('DEADLINE_EXCEEDED');
    const told = servers.get('a')?.calls.map(({ call }) => call.headers.get('x-keelson-timeout-ms'));
    expect(told).toEqual(['1000', '700']);
  });

  it('has the time of a try inside of that, and tells the nearer of both', async () => {
    const { ask, clock, servers } = scene([{}, answer(200)], { perTryTimeoutMs: 100, retry: { baseMs: 0 } });
    const asked = ask();
    await clock.advance(200);
    expect(await asked).toBe('200 x');
    const told = servers.get('a')?.calls.map(({ call }) => call.headers.get('x-keelson-timeout-ms'));
    expect(told).toEqual(['100', '100']);
  });

  it('refuses by limits before anything is tried', async () => {
    const gate = concurrency({ limit: 1 });
    const { ask, servers, clock } = scene([{}], { limits: [gate] });
    void ask();
    await clock.advance(0);
    expect(await ask()).toBe('OVERLOADED');
    expect(servers.get('a')?.calls).toHaveLength(1);
  });

  it('counts a call until its body has ended', async () => {
    const body = new Body();
    const gate = concurrency({ limit: 1 });
    const { ask, stack } = scene([{ answer: { status: 200, from: 'x', body } }], { limits: [gate] });
    expect(await ask()).toBe('200 x');
    expect([gate.snapshot(0).inflight, stack.snapshot()[0]?.inflight]).toEqual([1, 1]);
    body.end();
    expect([gate.snapshot(0).inflight, stack.snapshot()[0]?.inflight]).toEqual([0, 0]);
  });
});

describe('tries', () => {
  it.each([
    [{}, 2],
    [{ retry: { attempts: 4 } }, 4],
    [{ retry: { attempts: 1 } }, 1],
    [{ retry: false }, 1],
  ] as [Partial<ClientStackOptions<string, Reply>>, number][])('with %o are %i', async (options, tries) => {
    const { ask, clock, servers } = scene([answer(500)], options);
    const asked = ask();
    await clock.advance(5000);
    expect(await asked).toBe('500 x');
    expect(servers.get('a')?.calls).toHaveLength(tries);
  });

  it('are made at another endpoint', async () => {
    const { ask, clock, servers } = scene(
      (endpoint) => [answer(endpoint.url.includes('a:') ? 500 : 200)],
      {
        balancer: roundRobin(),
      },
      ['a', 'b'],
    );
    for (let round = 0; round < 4; round++) {
      const asked = ask();
      await clock.advance(1000);
      expect(await asked).toBe('200 x');
    }
    expect(servers.get('b')?.calls).toHaveLength(4);
  });

  it('share one budget', async () => {
    const { ask, clock, servers } = scene([answer(500)], {
      retryBudget: { minPerSecond: 0, ratio: 0.1 },
      gates: () => [],
      ejection: false,
    });
    const asked = Array.from({ length: 20 }, () => ask());
    await clock.advance(5000);
    await Promise.all(asked);
    // Nothing was deposited by a success, and nothing comes with time.
    expect(servers.get('a')?.calls.length).toBeLessThan(25);
  });

  it('with hedge: {} has the defaults of hedge, and copies slow calls once there is something to compare', async () => {
    const { ask, clock, servers } = scene(
      (endpoint) => [...Array(60).fill(answer(200, endpoint.url.charAt(7), { afterMs: 20 })), { deaf: true }],
      { hedge: {}, retry: false, balancer: firstUnlessAvoided() },
      ['a', 'b'],
    );
    for (let round = 0; round < 60; round++) {
      const asked = ask();
      await clock.advance(20);
      await asked;
    }
    expect(servers.get('b')?.calls).toHaveLength(0);
    const slow = ask();
    await clock.advance(100);
    expect(await slow).toBe('200 b');
    expect(servers.get('b')?.calls).toHaveLength(1);
  });

  it('with hedge: false sends no copy', async () => {
    const { ask, clock, servers } = scene([answer(200, 'x', { afterMs: 5000 })], { hedge: false }, [
      'a',
      'b',
    ]);
    const asked = ask();
    await clock.advance(5000);
    await asked;
    const calls = [...servers.values()].flatMap((server) => server.calls);
    expect(calls).toHaveLength(1);
  });
});

/** Picks the first endpoint that is not to be avoided. */
function firstUnlessAvoided(): Balancer {
  let known: Parameters<Balancer['update']>[0] = [];
  return {
    update: (endpoints) => {
      known = endpoints;
    },
    pick: (_now, hint) => {
      const endpoint = known.find(({ id }) => !hint?.avoid?.has(id)) ?? known[0];
      if (endpoint === undefined) return null;
      return { endpoint, reason: 'first', observe: () => undefined, release: () => undefined };
    },
  };
}

describe('gates of endpoints', () => {
  it('are made once for each, and each sees its own calls', async () => {
    const made: string[] = [];
    const logs = new Map<string, string[]>();
    const { ask, feed } = scene(
      [answer(200)],
      {
        balancer: roundRobin(),
        gates: (endpoint) => {
          const host = new URL(endpoint.url).hostname;
          made.push(host);
          const { gate, log } = listening();
          logs.set(host, log);
          return [gate];
        },
      },
      ['a', 'b'],
    );
    await ask();
    await ask();
    feed.set('b', 'c');
    await ask();
    await ask();
    expect(made).toEqual(['a', 'b', 'c']);
    expect([...logs.values()].map((log) => log.filter((line) => line.startsWith('acquire')).length)).toEqual([
      1, 2, 1,
    ]);
  });

  it('by default is one breaker, which tells the bus', async () => {
    const events: BreakerEvent[] = [];
    const { ask, stack, clock } = scene([answer(500)], { retry: false, ejection: false });
    stack.events.on('breaker', (event) => events.push(event));
    for (let round = 0; round < 60; round++) {
      const asked = ask();
      await clock.advance(1);
      await asked;
    }
    expect(events[0]).toEqual({
      service: 'users',
      endpoint: 'a@test://a:1',
      from: 'closed',
      to: expect.any(String),
    });
    expect(await Promise.all(Array.from({ length: 50 }, () => ask()))).toContain('BREAKER_OPEN');
  });

  it('of the user announce on the bus what they like', async () => {
    const events: BreakerEvent[] = [];
    const bus = createBus();
    bus.on('breaker', (event) => events.push(event));
    const { ask, stack, clock } = scene([answer(500)], {
      bus,
      retry: false,
      ejection: false,
      gates: (_endpoint, announce) => [
        threshold({
          consecutiveFailures: 2,
          minRequests: 1,
          openMs: 1000,
          openFactor: 1,
          probes: 1,
          random: () => 0,
          onTransition: announce,
        }),
      ],
    });
    expect(stack.events).toBe(bus);
    for (let round = 0; round < 4; round++) await ask();
    expect(await ask()).toBe('BREAKER_OPEN');
    await clock.advance(5000);
    await ask();
    expect(events.map(({ from, to }) => `${from} ${to}`)).toEqual([
      'closed open',
      'open half-open',
      'half-open open',
    ]);
  });

  it('none is none', async () => {
    const { ask, stack } = scene([answer(500)], { gates: () => [], retry: false, ejection: false });
    const seen = await Promise.all(Array.from({ length: 100 }, () => ask()));
    expect(new Set(seen)).toEqual(new Set(['500 x']));
    expect(stack.snapshot()[0]?.gates).toEqual([]);
  });

  it('that cannot be made fail the calls to that endpoint, not the others', async () => {
    const { ask } = scene(
      [answer(200)],
      {
        balancer: roundRobin(),
        retry: false,
        gates: ({ url }) => {
          if (url.includes('a:')) throw new Error('no gates');
          return [];
        },
      },
      ['a', 'b'],
    );
    expect((await Promise.all([ask(), ask()])).sort()).toEqual(['200 x', 'Error: no gates']);
  });

  it('that are no list say so, and the connection that nobody will use is closed', async () => {
    const gates = () => threshold() as never;
    const { ask, closed } = scene([answer(200)], { retry: false, gates });
    expect(await ask()).toBe('TypeError: gates: what it returns must be an array of gates, got an object');
    expect(closed).toEqual(['a']);
  });
});

describe('the bus', () => {
  it('hears of instances and of a resolver that is stale, once for each change', () => {
    const instances: InstancesEvent[] = [];
    const resolver: ResolverEvent[] = [];
    const { stack, feed } = scene([answer(200)], {}, []);
    stack.events.on('instances', (event) => instances.push(event));
    stack.events.on('resolver', (event) => resolver.push(event));
    feed.set('a', 'b');
    feed.set('a', 'b');
    feed.tell({ instances: [instance('b')], stale: true, reason: 'away' });
    feed.tell({ instances: [instance('b')], stale: true, reason: 'still away' });
    feed.set('b');
    expect(instances.map(({ joined, left, size }) => [joined, left, size])).toEqual([
      [['a@test://a:1', 'b@test://b:1'], [], 2],
      [[], ['a@test://a:1'], 1],
    ]);
    expect(resolver).toEqual([
      { service: 'users', stale: true, reason: 'away' },
      { service: 'users', stale: false, reason: undefined },
    ]);
  });

  it('hears of ejections and returns', async () => {
    const events: EjectionEvent[] = [];
    const { ask, stack, clock } = scene(
      (endpoint) => [answer(endpoint.url.includes('a:') ? 500 : 200)],
      { retry: false, gates: () => [] },
      ['a', 'b', 'c', 'd'],
    );
    stack.events.on('ejection', (event) => events.push(event));
    for (let round = 0; round < 20; round++) {
      await Promise.all(Array.from({ length: 40 }, () => ask()));
      await clock.advance(100);
    }
    expect(events[0]).toMatchObject({ service: 'users', endpoint: 'a@test://a:1', ejected: true });
    expect(events[0]?.reason).toEqual(expect.any(String));
  });

  it('hears of no ejection with ejection: false', async () => {
    let events = 0;
    const { ask, stack, clock } = scene(
      (endpoint) => [answer(endpoint.url.includes('a:') ? 500 : 200)],
      { retry: false, gates: () => [], ejection: false },
      ['a', 'b', 'c', 'd'],
    );
    stack.events.on('ejection', () => events++);
    for (let round = 0; round < 20; round++) {
      await Promise.all(Array.from({ length: 40 }, () => ask()));
      await clock.advance(100);
    }
    expect(events).toBe(0);
  });

  it('may have listeners that throw', async () => {
    const bus = createBus();
    const faults: unknown[] = [];
    bus.on('instances', () => {
      throw new Error('mine');
    });
    bus.on('fault', (event) => faults.push(event.where));
    const { ask } = scene([answer(200)], { bus });
    expect(await ask()).toBe('200 x');
    expect(faults).toEqual(['instances']);
  });
});

describe('a balancer of the user', () => {
  it('chooses alone', async () => {
    const { ask, servers, stack } = scene([answer(200)], { balancer: firstUnlessAvoided() }, ['b', 'a']);
    for (let round = 0; round < 5; round++) await ask();
    expect([servers.get('b')?.calls.length, servers.get('a')?.calls.length]).toEqual([5, 0]);
    expect(stack.snapshot().map(({ endpoint, balancer }) => [endpoint.id, balancer])).toEqual([
      ['b@test://b:1', undefined],
      ['a@test://a:1', undefined],
    ]);
  });
});

describe('filters', () => {
  it('narrow what is picked from', async () => {
    const { ask, servers } = scene(
      [answer(200)],
      { filters: [(endpoints) => endpoints.filter(({ url }) => url.includes('b:'))] },
      ['a', 'b', 'c'],
    );
    for (let round = 0; round < 5; round++) await ask();
    expect(['a', 'b', 'c'].map((id) => servers.get(id)?.calls.length)).toEqual([0, 5, 0]);
  });
});

describe('what is not of the wire', () => {
  it('has no endpoint', async () => {
    const { ask, feed, servers, clock } = scene([answer(200)], {}, []);
    feed.tell({ instances: [instance('a', { addresses: ['grpc://a:1'] })], stale: false });
    const asked = ask();
    await clock.advance(5100);
    expect(await asked).toBe('NO_ENDPOINT');
    expect(servers.size).toBe(0);
  });
});

describe('a snapshot', () => {
  it('tells of each endpoint what its parts know', async () => {
    const { ask, stack, clock } = scene([{}, answer(200)], {}, ['a', 'b']);
    void ask();
    await clock.advance(0);
    const states = stack.snapshot();
    expect(states.map(({ endpoint }) => endpoint.id)).toEqual(['a@test://a:1', 'b@test://b:1']);
    expect(states.map(({ inflight }) => inflight).sort()).toEqual([0, 1]);
    for (const { balancer, gates } of states) {
      expect(balancer).toMatchObject({ weight: 100, ejectedUntil: undefined });
      expect(gates).toHaveLength(1);
      expect(gates[0]).toMatchObject({ state: 'closed' });
    }
  });
});

describe('close', () => {
  it('refuses new calls, lets old ones end, closes what it opened', async () => {
    const { ask, stack, clock, closed, feed } = scene([answer(200, 'x', { afterMs: 50 })], {}, ['a', 'b']);
    const running = ask();
    await clock.advance(0);
    stack.close();
    stack.close();
    expect(feed.watchers).toBe(0);
    expect(closed).toHaveLength(1);
    expect(await ask()).toBe('SHUTTING_DOWN');
    await clock.advance(50);
    expect(await running).toBe('200 x');
    expect(closed.sort()).toEqual(['a', 'b']);
  });

  it('ends those who wait for the first endpoint', async () => {
    const { ask, stack } = scene([answer(200)], {}, []);
    const waiting = ask();
    stack.close();
    expect(await waiting).toBe('SHUTTING_DOWN');
  });
});

describe('options', () => {
  const wire = {
    protocol,
    schemes: ['test'],
    connect: () => ({ handler: () => Promise.reject(), close: () => undefined }),
  };
  const make = (options: object) => () =>
    clientStack({
      service: 'users',
      resolver: new Feed(),
      wire,
      random: seededRandom(1),
      ...options,
    } as never);

  it.each([
    [{ timeout: 5 }, 'clientStack.timeout is not an option'],
    [{ timeoutMs: 0 }, 'clientStack.timeoutMs must be a number > 0'],
    [{ timeoutMs: '5' }, 'clientStack.timeoutMs must be a number'],
    [{ perTryTimeoutMs: -1 }, 'clientStack.perTryTimeoutMs must be a number > 0'],
    [{ resolveTimeoutMs: Number.NaN }, 'clientStack.resolveTimeoutMs must be a number >= 0'],
    [{ service: '' }, 'clientStack.service must be a name'],
    [{ resolver: undefined }, 'clientStack.resolver must be a resolver'],
    [{ wire: undefined }, 'clientStack.wire must be a wire'],
    [{ wire: { connect: () => undefined } }, 'clientStack.wire.protocol'],
    [{ gates: [] }, 'clientStack.gates must be a function'],
    [{ limits: {} }, 'clientStack.limits must be an array'],
    [{ limits: [null] }, 'clientStack.limits[0] must be a gate'],
    [{ use: [1] }, 'clientStack.use[0] must be a middleware'],
    [{ useAttempt: [1] }, 'clientStack.useAttempt[0] must be a middleware'],
    [{ hedge: true }, 'clientStack.hedge must be an object or false'],
    [{ retry: true }, 'clientStack.retry must be an object or false'],
    [{ retry: { tries: 2 } }, 'retry.tries is not an option'],
    [{ retry: { attempts: 0 } }, 'retry.attempts'],
    [{ hedge: { percentile: 2 } }, 'hedge.percentile'],
    [{ retryBudget: { ratio: -1 } }, 'retryBudget.ratio'],
    [{ ejection: { nonsense: 1 } }, 'nonsense is not an option'],
    [{ tracing: 'no' }, 'clientStack.tracing must be a boolean'],
    [{ metrics: 0 }, 'clientStack.metrics must be a boolean'],
    [{ random: 4 }, 'clientStack.random must be a function'],
  ])('%o: %s', (options, message) => {
    expect(make(options)).toThrow(message);
  });

  it('of undefined are not given', () => {
    const nothing = [
      'timeoutMs',
      'retry',
      'hedge',
      'gates',
      'limits',
      'use',
      'bus',
      'clock',
      'balancer',
      'tracing',
    ];
    expect(make(Object.fromEntries(nothing.map((name) => [name, undefined])))).not.toThrow();
  });
});
