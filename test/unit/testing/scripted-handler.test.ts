import { cancelSource, createCall } from 'keelson/core';
import { manualClock, type ScriptStep, scriptedHandler } from 'keelson/testing';
import { describe, expect, it } from 'vitest';

const callWith = (cancel = cancelSource()) => ({
  cancel,
  call: createCall({ side: 'client', service: 'users', operation: 'GET', cancel }),
});

function scripted(...script: ScriptStep<string, string>[]) {
  const clock = manualClock();
  const scriptedUsers = scriptedHandler({ script, clock });
  const { cancel, call } = callWith();
  const log: string[] = [];
  const ask = (request = 'hi') => {
    scriptedUsers.handler(request, call).then(
      (value) => log.push(`${value}@${clock.now()}`),
      (error: unknown) => log.push(`${(error as Error).message}@${clock.now()}`),
    );
  };
  return { clock, users: scriptedUsers, cancel, call, log, ask };
}

describe('scriptedHandler', () => {
  it('does one step for each call and repeats the last', async () => {
    const { ask, log, clock, users, call } = scripted(
      { answer: 'one' },
      { error: new Error('two'), afterMs: 10 },
      { answer: (request) => `got ${request}` },
    );
    ask('a');
    await clock.advance(0);
    ask('b');
    expect(users.inflight).toBe(1);
    await clock.advance(10);
    ask('c');
    ask('d');
    await clock.advance(0);
    expect(log).toEqual(['one@0', 'two@10', 'got c@10', 'got d@10']);
    expect(users.inflight).toBe(0);
    expect(users.calls).toEqual([
      { request: 'a', call, at: 0 },
      { request: 'b', call, at: 0 },
      { request: 'c', call, at: 10 },
      { request: 'd', call, at: 10 },
    ]);
  });

  it('hangs until it is cancelled', async () => {
    const { ask, log, clock, cancel, users } = scripted({});
    ask();
    await clock.advance(1_000_000);
    expect(log).toEqual([]);
    cancel.abort(new Error('enough'));
    await clock.advance(0);
    expect([log, users.inflight]).toEqual([['enough@1000000'], 0]);
  });

  it('heeds a cancellation while it takes its time, and leaves no timer', async () => {
    const { ask, log, clock, cancel } = scripted({ answer: 'late', afterMs: 50 });
    ask();
    await clock.advance(20);
    cancel.abort(new Error('enough'));
    await clock.advance(100);
    expect([log, clock.pending]).toEqual([['enough@20'], 0]);
  });

  it('goes on when it is deaf', async () => {
    const { ask, log, clock, cancel } = scripted({ answer: 'late', afterMs: 50, deaf: true });
    ask();
    cancel.abort(new Error('enough'));
    await clock.advance(50);
    expect(log).toEqual(['late@50']);
  });

  it('throws at once where code of others would', () => {
    const { users, call } = scripted({ error: new Error('at once'), throws: true });
    expect(() => users.handler('x', call)).toThrow('at once');
    expect([users.inflight, users.calls.length]).toEqual([0, 1]);
  });

  it('rejects with what an answer throws', async () => {
    const { ask, log, clock } = scripted({
      answer: () => {
        throw new Error('mine');
      },
    });
    ask();
    await clock.advance(0);
    expect(log).toEqual(['mine@0']);
  });

  it('takes further steps', async () => {
    const { ask, log, clock, users } = scripted({ answer: 'one' });
    users.push({ answer: 'two' });
    ask();
    ask();
    ask();
    await clock.advance(0);
    expect(log).toEqual(['one@0', 'two@0', 'two@0']);
  });

  it('needs a step', () => {
    expect(() => scriptedHandler({ script: [] })).toThrow('at least one step');
    expect(() => scriptedHandler({ script: 'x' as never })).toThrow(TypeError);
  });
});
