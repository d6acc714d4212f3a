import {
  type Call,
  cancelSource,
  createCall,
  type Gate,
  GovernanceError,
  type GuardOptions,
  guard,
  type Handler,
  isGovernanceError,
  type Outcome,
  type Protocol,
  type RejectionCode,
  refusal,
} from 'keelson/core';
import { deadline } from 'keelson/deadline';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { recorder } from './recorder.js';

const callOf = (more: Partial<Parameters<typeof createCall>[0]> = {}): Call =>
  createCall({ side: 'client', service: 'users', operation: 'GET /users/:id', ...more });

const protocol: Protocol<string, number> = {
  classify: (status, error) => {
    if (error !== undefined) return 'failure';
    return status === 429 ? 'overload' : status !== undefined && status >= 500 ? 'failure' : 'success';
  },
};

function setUp(handler: Handler<string, number>, options: Partial<GuardOptions<string, number>> = {}) {
  const clock = manualClock(100);
  const gate = recorder('gate', 'OVERLOADED', 40);
  const run = guard([gate], { protocol, clock, ...options })(handler);
  return { clock, gate, run };
}

const answer = (status: number) => () => Promise.resolve(status);
const fail = (error: unknown) => () => Promise.reject(error);

describe('guard', () => {
  it.each([
    [200, 'success'],
    [429, 'overload'],
    [503, 'failure'],
  ])('releases with what the protocol makes of %d', async (status, outcome) => {
    const { gate, run } = setUp(answer(status));
    await expect(run('', callOf())).resolves.toBe(status);
    expect(gate.log).toEqual(['acquire@100', `release ${outcome}@100`]);
  });

  it('tells the time of start and end', async () => {
    const { clock, gate, run } = setUp(() => new Promise((resolve) => clock.after(30, () => resolve(200))));
    const running = run('', callOf());
    await clock.advance(30);
    await running;
    expect(gate.log).toEqual(['acquire@100', 'release success@130']);
  });

  it('hands on the very error of the wire', async () => {
    const error = new Error('reset');
    const { gate, run } = setUp(fail(error));
    await expect(run('', callOf())).rejects.toBe(error);
    expect(gate.log).toEqual(['acquire@100', 'release failure@100']);
  });

  it('makes a rejection of a synchronous throw, and releases', async () => {
    const { gate, run } = setUp(() => {
      throw new Error('sync');
    });
    await expect(run('', callOf())).rejects.toThrow('sync');
    expect(gate.log).toEqual(['acquire@100', 'release failure@100']);
  });

  it('makes a promise of an answer that is none', async () => {
    const { gate, run } = setUp((() => 200) as never);
    await expect(run('', callOf())).resolves.toBe(200);
    expect(gate.log).toEqual(['acquire@100', 'release success@100']);
  });

  it('refuses with the code of the gate, without a stack, and calls nobody', async () => {
    let called = false;
    const { gate, run } = setUp(() => {
      called = true;
      return Promise.resolve(200);
    });
    gate.refuse = true;
    const error = await run('', callOf()).catch((thrown: unknown) => thrown);
    expect(isGovernanceError(error)).toBe(true);
    expect(error).toMatchObject({ code: 'OVERLOADED', retryAfterMs: 40, service: 'users', side: 'client' });
    expect((error as Error).message).toContain('users GET /users/:id');
    expect((error as Error).stack).not.toContain('\n');
    expect(called).toBe(false);
  });

  it('rejects, and does not throw, when a gate throws', async () => {
    const { gate, run } = setUp(answer(200));
    gate.fault = 'tryAcquire';
    await expect(run('', callOf())).rejects.toThrow('gate tryAcquire');
  });

  it('releases what layers around it hold when a gate that refuses cannot say for how long', async () => {
    const faulty: Gate = {
      code: 'OVERLOADED',
      tryAcquire: () => null,
      retryAfterMs: () => {
        throw new Error('no idea');
      },
    };
    const clock = manualClock(100);
    const inner = guard<string, number>([faulty], { protocol, clock })(answer(200));
    const { gate, run } = setUp(inner, { clock });
    await expect(run('', callOf())).rejects.toThrow('no idea');
    expect(gate.log).toEqual(['acquire@100', 'release failure@100']);
    const timed = deadline<string, number>({ timeoutMs: 1000, clock })(inner);
    await expect(timed('', callOf())).rejects.toThrow('no idea');
    // Nothing is left that waits for the deadline.
    await clock.advance(20);
    expect(clock.pending).toBe(0);
  });

  it('passes feedback on', async () => {
    const feedback = () => ({ load: { cpuRatio: 0.5 } });
    const { gate, run } = setUp(answer(200), { protocol: { ...protocol, feedback } });
    await run('', callOf());
    expect(gate.log[1]).toBe('release success@100 {"load":{"cpuRatio":0.5}}');
  });
});

describe('guard, with a protocol that knows when a response is over', () => {
  it('observes at the response and releases at its end', async () => {
    let end = (_: Outcome) => {};
    const onEnd = (_: number, done: (outcome: Outcome) => void) => {
      end = done;
      return true;
    };
    const { clock, gate, run } = setUp(answer(200), {
      protocol: { ...protocol, onEnd, feedback: () => ({ retryAfterMs: 1 }) },
    });
    await run('', callOf());
    expect(gate.log).toEqual(['acquire@100', 'observe success@100 {"retryAfterMs":1}']);
    await clock.advance(500);
    end('failure');
    end('success');
    expect(gate.log.slice(2)).toEqual(['release failure@600']);
  });

  it('releases at once when it is over already', async () => {
    const { gate, run } = setUp(answer(200), { protocol: { ...protocol, onEnd: () => false } });
    await run('', callOf());
    expect(gate.log).toEqual(['acquire@100', 'observe success@100', 'release success@100']);
  });

  it.each(['classify', 'feedback', 'onEnd'] as const)('holds nothing when %s throws', async (bad) => {
    const throwing = () => {
      throw new Error(bad);
    };
    const { gate, run } = setUp(answer(200), { protocol: { ...protocol, [bad]: throwing } });
    await expect(run('', callOf())).rejects.toThrow(bad);
    expect(gate.log.at(-1)).toBe('release ignored@100');
  });

  it('holds nothing when classify throws on an error', async () => {
    const classify = () => {
      throw new Error('classify');
    };
    const { gate, run } = setUp(fail(new Error('reset')), { protocol: { classify } });
    await expect(run('', callOf())).rejects.toThrow('classify');
    expect(gate.log.at(-1)).toBe('release ignored@100');
  });

  it('holds nothing when a gate throws as it observes', async () => {
    const { gate, run } = setUp(answer(200), { protocol: { ...protocol, onEnd: () => true } });
    gate.fault = 'observe';
    await expect(run('', callOf())).rejects.toThrow('gate observe');
    expect(gate.log.at(-1)).toBe('release ignored@100');
  });
});

describe('what a rejection says of the callee', () => {
  const timedOut = 'failure@100 {"timedOut":true}';

  it.each<[RejectionCode, 'client' | 'server' | undefined, string]>([
    ['DEADLINE_EXCEEDED', 'client', timedOut],
    ['DEADLINE_EXCEEDED', 'server', timedOut],
    ['DEADLINE_EXCEEDED', undefined, timedOut],
    ['BODY_IDLE', 'client', timedOut],
    ['CANCELLED', 'client', 'ignored@100'],
    ['CANCELLED', 'server', 'failure@100'],
    ['NO_ENDPOINT', 'client', 'unsent@100'],
    ['BREAKER_OPEN', 'client', 'unsent@100'],
    ['OVERLOADED', 'client', 'unsent@100'],
    ['RATE_LIMITED', 'client', 'unsent@100'],
    ['BAD_ENDPOINT', 'client', 'unsent@100'],
    ['SHUTTING_DOWN', 'client', 'unsent@100'],
    ['INVALID_ARGUMENT', 'client', 'unsent@100'],
    ['UNAUTHENTICATED', 'client', 'unsent@100'],
    ['PERMISSION_DENIED', 'client', 'unsent@100'],
    ['AUTH_UNAVAILABLE', 'client', 'unsent@100'],
    ['INVALID_RESPONSE', 'client', 'failure@100'],
    ['OVERLOADED', 'server', 'failure@100'],
    ['OVERLOADED', undefined, 'failure@100'],
  ])('%s refused on the %s: %s', async (code, side, released) => {
    const { gate, run } = setUp(fail(refusal(code, 'refused', { side })));
    await expect(run('', callOf())).rejects.toMatchObject({ code });
    expect(gate.log[1]).toBe(`release ${released}`);
  });

  it.each<[RejectionCode, string]>([
    ['INVALID_ARGUMENT', 'ignored@100'],
    ['UNAUTHENTICATED', 'ignored@100'],
    ['PERMISSION_DENIED', 'ignored@100'],
    ['AUTH_UNAVAILABLE', 'ignored@100'],
    ['OVERLOADED', 'unsent@100'],
  ])('%s refused by a server itself: %s, so that only what it looked at costs', async (code, released) => {
    const { gate, run } = setUp(fail(refusal(code, 'refused', { side: 'server' })));
    await expect(run('', callOf({ side: 'server' }))).rejects.toMatchObject({ code });
    expect(gate.log[1]).toBe(`release ${released}`);
  });

  it.each([
    ['client', 'client', 'unsent@100'],
    ['server', 'server', 'unsent@100'],
    // The handler ran, and found no time left for a call of its own.
    ['client', 'server', timedOut],
  ] as const)(
    'a deadline that had passed beforehand on the %s, seen on the %s: %s',
    async (by, side, released) => {
      const { gate, run } = setUp(fail(refusal('DEADLINE_EXCEEDED', 'late', { side: by, unsent: true })));
      await expect(run('', callOf({ side }))).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      expect(gate.log[1]).toBe(`release ${released}`);
    },
  );

  it('on a server: a handler that was refused by its own callee did run', async () => {
    const { gate, run } = setUp(fail(refusal('BREAKER_OPEN', 'refused', { side: 'client' })));
    await expect(run('', callOf({ side: 'server' }))).rejects.toThrow();
    expect(gate.log[1]).toBe('release failure@100');
  });

  it.each([
    ['the caller', new Error('went away'), 'ignored@100'],
    ['nobody knows', undefined, 'ignored@100'],
    ['the deadline', refusal('DEADLINE_EXCEEDED', 'late'), timedOut],
    ['a refusal', refusal('CANCELLED', 'gone', { side: 'client' }), 'ignored@100'],
  ])('after an abort by %s', async (_, reason, released) => {
    const cancel = cancelSource();
    const { gate, run } = setUp(() => {
      cancel.abort(reason);
      return Promise.reject(new Error('aborted'));
    });
    await expect(run('', callOf({ cancel }))).rejects.toThrow('aborted');
    expect(gate.log[1]).toBe(`release ${released}`);
  });

  it('counts an answer that came in spite of an abort', async () => {
    const cancel = cancelSource();
    const { gate, run } = setUp(() => {
      cancel.abort('too late');
      return Promise.resolve(200);
    });
    await run('', callOf({ cancel }));
    expect(gate.log[1]).toBe('release success@100');
  });

  it('is not fooled by an error of that shape', async () => {
    const { gate, run } = setUp(fail({ code: 'OVERLOADED', side: 'client', name: 'GovernanceError' }));
    await expect(run('', callOf())).rejects.toBeDefined();
    expect(gate.log[1]).toBe('release failure@100');
    expect(isGovernanceError(new GovernanceError('OVERLOADED', 'x'))).toBe(true);
  });
});
