import { type BalanceOptions, type Balancer, balance, type Lease } from 'keelson/balancer';
import {
  type Call,
  cancelSource,
  createCall,
  type Endpoint,
  fork,
  type Gate,
  isGovernanceError,
  type Outcome,
  type Protocol,
} from 'keelson/core';
import type { Resolution, Resolver, ServiceInstance } from 'keelson/discovery';
import { type ManualClock, manualClock } from 'keelson/testing';
import { beforeEach, describe, expect, it } from 'vitest';

const endpoint = (id: string): Endpoint => ({ id, url: `http://${id}`, weight: 100, metadata: {} });
const instance = (id: string) => ({ id }) as unknown as ServiceInstance;

/** Picks the first that is not to be avoided, and keeps a log of what its leases heard. */
class FirstFree implements Balancer {
  endpoints: readonly Endpoint[] = [];
  readonly log: string[] = [];
  update(endpoints: readonly Endpoint[]): void {
    this.endpoints = endpoints;
  }
  pick(_now: number, hint?: { avoid?: ReadonlySet<string> | undefined }): Lease<Endpoint> | null {
    const free = this.endpoints.find((e) => !hint?.avoid?.has(e.id)) ?? this.endpoints[0];
    if (!free) return null;
    return {
      endpoint: free,
      reason: 'first',
      observe: (outcome) => this.log.push(`${free.id} observe ${outcome}`),
      release: (outcome) => this.log.push(`${free.id} release ${outcome}`),
    };
  }
}

const protocol: Protocol<string, string> = {
  classify: (response) => (response === undefined ? 'failure' : 'success'),
};
const refusing: Gate = { code: 'BREAKER_OPEN', tryAcquire: () => null, retryAfterMs: () => 70 };

class Feed implements Resolver {
  push: (resolution: Resolution) => void = () => undefined;
  closed = false;
  watch(_service: string, onChange: (resolution: Resolution) => void) {
    this.push = onChange;
    return {
      close: () => {
        this.closed = true;
      },
    };
  }
  set(...ids: string[]): void {
    this.push({ instances: ids.map(instance), stale: false });
  }
}

let clock: ManualClock;
let feed: Feed;
let balancer: FirstFree;
let opened: string[];
let shut: string[];
let gates: Record<string, Gate[]>;
let answer: (id: string, call: Call) => Promise<string>;

function leaf(change: Partial<BalanceOptions<string, string>> = {}) {
  return balance<string, string>({
    service: 'users',
    resolver: feed,
    endpoints: (instances) => instances.map((i) => endpoint(i.id)),
    balancer,
    protocol,
    clock,
    connect: (e) => {
      opened.push(e.id);
      return {
        gates: gates[e.id] ?? [],
        handler: (_request, call) => answer(e.id, call),
        close: () => void shut.push(e.id),
      };
    },
    ...change,
  });
}
const call = (deadline = Number.POSITIVE_INFINITY): Call =>
  createCall({ side: 'client', service: 'users', operation: 'GET', deadline });
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (isGovernanceError(error) ? error.code : error),
  );

beforeEach(() => {
  clock = manualClock(1000);
  feed = new Feed();
  balancer = new FirstFree();
  opened = [];
  shut = [];
  gates = {};
  answer = (id) => Promise.resolve(`from ${id}`);
});

describe('picking', () => {
  it('sends to the endpoint that was picked and says so in the attempt', async () => {
    const { handler } = leaf();
    feed.set('a', 'b');
    const made = call();
    await expect(handler('hi', made)).resolves.toBe('from a');
    expect(made.attempt.endpoint?.id).toBe('a');
    expect(made.attempt.reason).toBe('first');
    expect(balancer.log).toEqual(['a release success']);
  });

  it('picks another when the gates of one refuse, and undoes the lease', async () => {
    gates = { a: [refusing] };
    const { handler } = leaf();
    feed.set('a', 'b');
    await expect(handler('hi', call())).resolves.toBe('from b');
    expect(balancer.log).toEqual(['a release unsent', 'b release success']);
  });

  it('refuses with the code of the last gate after three re-picks', async () => {
    gates = Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f'].map((id) => [id, [refusing]]));
    const { handler } = leaf();
    feed.set('a', 'b', 'c', 'd', 'e', 'f');
    const error = await handler('hi', call()).catch((e: unknown) => e);
    expect(isGovernanceError(error) && [error.code, error.retryAfterMs, error.service]).toEqual([
      'BREAKER_OPEN',
      70,
      'users',
    ]);
    expect(balancer.log).toEqual(['a', 'b', 'c', 'd'].map((id) => `${id} release unsent`));
  });

  it('does not ask the same endpoint twice when there are fewer than three', async () => {
    gates = { a: [refusing] };
    const { handler } = leaf();
    feed.set('a');
    await expect(codeOf(handler('hi', call()))).resolves.toBe('BREAKER_OPEN');
    expect(balancer.log).toEqual(['a release unsent']);
  });

  it('passes over the endpoints of earlier attempts', async () => {
    const { handler } = leaf();
    feed.set('a', 'b');
    const first = call();
    await handler('hi', first);
    await expect(handler('hi', fork(first))).resolves.toBe('from b');
  });

  it('gives the lease back when a gate throws', async () => {
    const bug = new Error('a bug');
    gates = {
      a: [
        {
          code: 'OVERLOADED',
          tryAcquire: () => {
            throw bug;
          },
        },
      ],
    };
    const { handler } = leaf();
    feed.set('a');
    await expect(handler('hi', call())).rejects.toBe(bug);
    expect(balancer.log).toEqual(['a release unsent']);
  });

  it('gives the lease back when a handler throws synchronously', async () => {
    answer = () => {
      throw new Error('not a promise');
    };
    const { handler } = leaf();
    feed.set('a');
    await expect(handler('hi', call())).rejects.toThrow('not a promise');
    expect(balancer.log).toEqual(['a release failure']);
  });
});

describe('waiting for endpoints', () => {
  it('waits for the first and goes on', async () => {
    const { handler } = leaf();
    const running = handler('hi', call());
    await clock.advance(3000);
    feed.set('a');
    await expect(running).resolves.toBe('from a');
  });

  it('gives up after resolveTimeoutMs', async () => {
    const { handler } = leaf({ resolveTimeoutMs: 200 });
    const code = codeOf(handler('hi', call()));
    await clock.advance(250);
    await expect(code).resolves.toBe('NO_ENDPOINT');
  });

  it('gives up before the deadline of the call', async () => {
    const { handler } = leaf();
    const code = codeOf(handler('hi', call(clock.now() + 100)));
    await clock.advance(100);
    await expect(code).resolves.toBe('NO_ENDPOINT');
  });

  it('refuses at once when there is nothing to wait for', async () => {
    const { handler } = leaf({ resolveTimeoutMs: 0 });
    await expect(codeOf(handler('hi', call()))).resolves.toBe('NO_ENDPOINT');
  });

  it('takes no place for a call that its caller gave up before', async () => {
    const { handler } = leaf({ maxWaiting: 1 });
    const cancel = cancelSource();
    const reason = new Error('gave up');
    cancel.abort(reason);
    const gone = createCall({ side: 'client', service: 'users', operation: 'GET', cancel });
    await expect(handler('hi', gone)).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
    const waiting = handler('hi', call());
    feed.set('a');
    await expect(waiting).resolves.toBe('from a');
  });

  it('is bounded', async () => {
    const { handler } = leaf({ maxWaiting: 1 });
    const first = handler('hi', call());
    await expect(codeOf(handler('hi', call()))).resolves.toBe('NO_ENDPOINT');
    feed.set('a');
    await expect(first).resolves.toBe('from a');
  });

  it('ends for those who wait when it is closed', async () => {
    const { handler, close } = leaf();
    const code = codeOf(handler('hi', call()));
    close();
    await expect(code).resolves.toBe('SHUTTING_DOWN');
    await expect(codeOf(handler('hi', call()))).resolves.toBe('SHUTTING_DOWN');
    expect(feed.closed).toBe(true);
  });
});

describe('connections', () => {
  it('are made once for each endpoint that appears', () => {
    leaf();
    feed.set('a', 'b');
    feed.set('b', 'c', 'c');
    expect(opened).toEqual(['a', 'b', 'c']);
  });

  it('are closed at once when nothing is in flight', () => {
    leaf();
    feed.set('a', 'b');
    feed.set('b');
    expect(shut).toEqual(['a']);
  });

  it('of a leaver are closed after its last call', async () => {
    let finish: (value: string) => void = () => undefined;
    answer = () => new Promise((resolve) => (finish = resolve));
    const { handler } = leaf();
    feed.set('a');
    const running = handler('hi', call());
    feed.set('b');
    expect(shut).toEqual([]);
    finish('late');
    await running;
    expect(shut).toEqual(['a']);
  });

  it('that cannot be made fail the calls, not the update', async () => {
    const { handler } = leaf({
      connect: () => {
        throw new Error('no such wire');
      },
    });
    feed.set('a');
    await expect(handler('hi', call())).rejects.toThrow('no such wire');
    expect(balancer.log).toEqual(['a release failure']);
  });

  it('tell who joined and who left, and a listener that throws changes nothing', () => {
    const changes: unknown[] = [];
    leaf({
      onChange: (change) => {
        changes.push(change);
        throw new Error('listener');
      },
    });
    feed.set('a', 'b');
    feed.push({ instances: [instance('b')], stale: true, reason: 'registry away' });
    expect(changes).toEqual([
      { joined: ['a', 'b'], left: [], size: 2, stale: false, reason: undefined },
      { joined: [], left: ['a'], size: 1, stale: true, reason: 'registry away' },
    ]);
  });
});

describe('a timeout', () => {
  const timeout = () => Object.assign(new Error('late'), { name: 'TimeoutError' });
  const outcomes = async (tookMs: number): Promise<Outcome[]> => {
    const heard: Outcome[] = [];
    const listening: Gate = {
      code: 'BREAKER_OPEN',
      tryAcquire: () => ({ observe: () => undefined, release: (outcome) => void heard.push(outcome) }),
    };
    gates = { a: [listening] };
    const { GovernanceError } = await import('keelson/core');
    answer = async () => {
      await clock.advance(100);
      return 'usual';
    };
    const { handler } = leaf();
    feed.set('a');
    await handler('hi', call());
    answer = async () => {
      await clock.advance(tookMs);
      throw new GovernanceError('DEADLINE_EXCEEDED', 'late', { cause: timeout(), side: 'client' });
    };
    await handler('hi', call()).catch(() => undefined);
    return heard;
  };

  it('after less time than the endpoint usually takes says nothing of it', async () => {
    expect(await outcomes(50)).toEqual(['success', 'ignored']);
  });

  it('after more time is its failure', async () => {
    expect(await outcomes(150)).toEqual(['success', 'failure']);
  });
});

it('gives the lease back when a permit throws on release', async () => {
  gates = {
    a: [
      {
        code: 'OVERLOADED',
        tryAcquire: () => ({
          observe: () => undefined,
          release: () => {
            throw new Error('a bug in a gate');
          },
        }),
      },
    ],
  };
  const { handler, snapshot } = leaf();
  feed.set('a');
  await handler('hi', call()).catch(() => undefined);
  expect(balancer.log).toEqual(['a release success']);
  expect(snapshot(clock.now())[0]?.inflight).toBe(0);
});
