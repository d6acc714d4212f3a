import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type Call,
  type Cancellation,
  cancelSource,
  isGovernanceError,
  type Protocol,
  refusal,
  type TiedCopy,
  type TiedState,
  tiedCopies,
} from 'keelson/core';
import { hedge, type RetryBudget, type TiedOptions, tied } from 'keelson/retry';
import { manualClock } from 'keelson/testing';
import { describe, expect, it } from 'vitest';
import { endpoint, get, outcome } from './scene.js';

interface Reply {
  readonly status: number;
  readonly from?: string;
}

const ok = (from: string): Reply => ({ status: 200, from });
const away: Reply = { status: 499 };

/** One copy as its server sees it; the test plays the server. */
interface Arrived {
  readonly call: Call;
  readonly request: string;
  readonly to: string;
  readonly tie: TiedCopy | undefined;
  readonly asked: string[];
  /** What the server says to the next question. */
  answer(state: TiedState | Error | undefined): void;
  end(reply: Reply | Error): void;
  turnAway(state: TiedState): void;
}

function scene(
  options: Partial<TiedOptions<string, Reply>> = {},
  wire: 'asks' | 'hears' | 'knows nothing' = 'asks',
  clock = manualClock(1000),
) {
  const discarded: Reply[] = [];
  const arrived: Arrived[] = [];
  let ids = ['a', 'b', 'c'];
  const protocol: Protocol<string, Reply> = {
    classify: (reply) => {
      if (reply === undefined || reply.status >= 500) return 'failure';
      return reply.status === 499 ? 'ignored' : 'success';
    },
    feedback: () => ({ load: { backlogMs: 50, serviceMs: 5, perSecond: 150 } }),
    replay: (request) => (request.startsWith('stream') ? undefined : request),
    discard: (reply) => {
      discarded.push(reply);
    },
  };
  let detour: Promise<void> | undefined;
  const leaf = (request: string, call: Call): Promise<Reply> =>
    detour === undefined ? carry(request, call) : detour.then(() => carry(request, call));
  const carry = (request: string, call: Call): Promise<Reply> =>
    new Promise((resolve, reject) => {
      const { attempt } = call;
      const to = ids.find((one) => !attempt.avoid?.has(one)) ?? (ids[0] as string);
      attempt.endpoint = endpoint(to);
      attempt.choices = ids.length;
      const tie = call.values.get(tiedCopies)?.(attempt);
      const asked: string[] = [];
      let said: (state: TiedState | Error | undefined) => void = () => undefined;
      const ask = (what: string) => (cancel: Cancellation) =>
        new Promise<TiedState>((tell, refuse) => {
          asked.push(what);
          cancel.onAbort(() => refuse(cancel.reason));
          said = (state) => {
            if (state instanceof Error) refuse(state);
            else if (state !== undefined) tell(state);
          };
        });
      if (wire !== 'knows nothing' && tie !== undefined) {
        const control = { withdraw: ask('withdraw'), grant: ask('grant') };
        if (!tie.carried(wire === 'asks' ? control : undefined)) {
          reject(refusal('CANCELLED', 'not known', { side: 'client' }));
          return;
        }
      }
      call.cancel.onAbort(() => {
        asked.push('abort');
        reject(call.cancel.reason);
      });
      arrived.push({
        call,
        request,
        to,
        tie,
        asked,
        answer: (state) => said(state),
        end: (reply) => (reply instanceof Error ? reject(reply) : resolve(reply)),
        turnAway: (state) => {
          tie?.turnedAway(state);
          resolve(away);
        },
      });
    });
  const send = tied<string, Reply>({ protocol, clock, delayMs: 2, ...options })(leaf);
  const at = (n: number): Arrived => {
    const one = arrived[n];
    if (one === undefined) throw new Error(`no copy ${n}`);
    return one;
  };
  return {
    clock,
    send,
    at,
    arrived,
    discarded,
    /** What stands before the wire takes its time. */
    delay: (until: Promise<void>) => {
      detour = until;
    },
    pick: (...list: string[]) => {
      ids = list;
    },
    /** The endpoints tell of a start and of their load. */
    learn: (...list: string[]) => learnBy({}, ...list),
    learnBy,
  };
  async function learnBy(init: Parameters<typeof get>[0], ...list: string[]) {
    for (const one of list) {
      ids = [one];
      const running = send('x', get(init));
      const copy = arrived.at(-1) as Arrived;
      await clock.advance(1);
      copy.tie?.heard();
      copy.end(ok(one));
      await running;
    }
    ids = ['a', 'b', 'c'];
    arrived.length = 0;
  }
}

describe('tied', () => {
  it('sends the second copy when the first has not started after the delay, and keeps the one that starts', async () => {
    const { send, learn, clock, at, arrived, discarded } = scene();
    await learn('a', 'b');
    const running = send('x', get());
    await clock.advance(1.9);
    expect(arrived).toHaveLength(1);
    await clock.advance(0.1);
    expect(arrived.map(({ to }) => to)).toEqual(['a', 'b']);
    const [first, second] = arrived.map(({ tie }) => tie as TiedCopy) as [TiedCopy, TiedCopy];
    expect([first.id, first.copy, first.mode]).toEqual([second.id, 1, 'free']);
    expect([second.copy, second.mode]).toEqual([2, 'free']);
    second.heard();
    await clock.advance(0);
    expect([at(0).asked, at(1).asked]).toEqual([['withdraw'], []]);
    at(0).answer('withdrawn');
    at(0).turnAway('withdrawn');
    await clock.advance(1);
    at(1).end(ok('b'));
    expect(await running).toEqual(ok('b'));
    expect(discarded).toEqual([away]);
    expect(clock.pending).toBeLessThanOrEqual(1);
  });

  it('sends no second copy when the first starts in time', async () => {
    const { send, learn, clock, at, arrived } = scene();
    await learn('a', 'b');
    const running = send('x', get());
    at(0).tie?.heard();
    at(0).tie?.heard();
    await clock.advance(100);
    expect(arrived).toHaveLength(1);
    at(0).end(ok('a'));
    expect(await running).toEqual(ok('a'));
  });

  it('waits for what is left when the timer of the platform rings early', async () => {
    const steady = manualClock(1000);
    const hasty = {
      ...steady,
      now: () => steady.now(),
      after: (ms: number, run: () => void) => steady.after(ms * 0.6, run),
    };
    const { send, learn, at, arrived } = scene({ delayMs: 10, clock: hasty }, 'asks', steady);
    await learn('a', 'b');
    const running = send('x', get());
    await steady.advance(9.9);
    expect(arrived).toHaveLength(1);
    await steady.advance(0.2);
    expect(arrived).toHaveLength(2);
    at(0).end(ok('a'));
    expect(await running).toEqual(ok('a'));
  });

  it.each<[string, TiedState | Error, string[]]>([
    ['has started: it runs on, and its connection lives', 'started', ['withdraw']],
    ['is not known there: it is aborted', 'unknown', ['withdraw', 'abort']],
    ['cannot be asked about: it is aborted', new Error('reset'), ['withdraw', 'abort']],
  ])('a copy that lost and %s', async (_name, state, asked) => {
    const { send, learn, clock, at, discarded } = scene();
    await learn('a', 'b');
    const running = send('x', get());
    await clock.advance(2);
    at(1).tie?.heard();
    await clock.advance(0);
    at(0).answer(state);
    await clock.advance(1);
    at(1).end(ok('b'));
    expect(await running).toEqual(ok('b'));
    expect(at(0).asked).toEqual(asked);
    at(0).end(ok('a'));
    await clock.advance(1);
    expect(discarded).toEqual(asked.includes('abort') ? [] : [ok('a')]);
  });

  it('aborts what was asked about and gave no answer within a second, and what does not end after half a minute', async () => {
    const { send, learn, clock, at } = scene();
    await learn('a', 'b');
    for (const [state, ms] of [
      [undefined, 1010],
      ['started', 30_010],
    ] as const) {
      const before = send('x', get());
      await clock.advance(2);
      const [one, two] = [at(0), at(1)];
      two.tie?.heard();
      await clock.advance(0);
      one.answer(state);
      two.end(ok('b'));
      await before;
      await clock.advance(ms - 100);
      expect(one.asked).toEqual(['withdraw']);
      await clock.advance(110);
      expect(one.asked).toEqual(['withdraw', 'abort']);
      at(0).end(ok('a'));
      at(1).end(ok('b'));
      await learn('a', 'b');
    }
  });

  it('resets the stream of a copy that lost where nothing can be asked', async () => {
    const { send, learn, clock, at } = scene({}, 'hears');
    await learn('a', 'b');
    const running = send('x', get());
    await clock.advance(2);
    at(0).tie?.heard();
    await clock.advance(0);
    expect(at(1).asked).toEqual(['abort']);
    at(0).end(ok('a'));
    expect(await running).toEqual(ok('a'));
  });

  it('goes on with the other copy when one fails before it started', async () => {
    const { send, learn, clock, at } = scene();
    await learn('a', 'b');
    const running = send('x', get());
    await clock.advance(2);
    at(0).end(new Error('reset'));
    await clock.advance(1);
    at(1).end(ok('b'));
    expect(await running).toEqual(ok('b'));
  });

  it('ends with the failure of the winner', async () => {
    const { send, learn, clock, at } = scene();
    await learn('a', 'b');
    const running = outcome(send('x', get()));
    await clock.advance(2);
    at(1).tie?.heard();
    await clock.advance(0);
    at(0).answer('withdrawn');
    at(1).end({ status: 500 });
    expect(await running).toEqual({ status: 500 });
  });

  it('goes on with the first copy when the second is a duplicate there', async () => {
    const { send, learn, clock, at } = scene();
    await learn('a', 'b');
    const running = send('x', get());
    await clock.advance(2);
    at(1).turnAway('duplicate');
    await clock.advance(1);
    at(0).end(ok('a'));
    expect(await running).toEqual(ok('a'));
  });

  it('gives up both when its caller does, and asks nobody', async () => {
    const { send, learn, clock, at } = scene();
    await learn('a', 'b');
    const cancel = cancelSource();
    const running = outcome(send('x', get({ cancel })));
    await clock.advance(2);
    cancel.abort(new Error('enough'));
    expect(await running).toEqual({ thrown: new Error('enough') });
    expect([at(0).asked, at(1).asked]).toEqual([['abort'], ['abort']]);
  });

  describe('of a call that must not run twice', () => {
    const post = () => get({ idempotent: false });

    async function asking() {
      const all = scene();
      await all.learn('a', 'b');
      const running = outcome(all.send('x', post()));
      await all.clock.advance(2);
      expect(all.at(1).tie?.mode).toBe('claim');
      all.at(1).tie?.heard();
      await all.clock.advance(0);
      expect(all.at(0).asked).toEqual(['withdraw']);
      return { ...all, running };
    }

    it('lets the second copy start when the first never will', async () => {
      const { at, clock, running } = await asking();
      expect(at(1).asked).toEqual([]);
      at(0).answer('withdrawn');
      await clock.advance(0);
      expect(at(1).asked).toEqual(['grant']);
      at(1).answer('granted');
      at(0).turnAway('withdrawn');
      await clock.advance(1);
      at(1).end(ok('b'));
      expect(await running).toEqual(ok('b'));
    });

    it('takes the word of the first copy itself, if that is here before the answer', async () => {
      const { at, clock, running } = await asking();
      at(0).turnAway('withdrawn');
      await clock.advance(0);
      expect(at(1).asked).toEqual(['grant']);
      at(0).answer('withdrawn');
      at(1).answer('granted');
      at(1).end(ok('b'));
      expect(await running).toEqual(ok('b'));
    });

    it.each<[string, TiedState | Error]>([
      ['has started', 'started'],
      ['is not known', 'unknown'],
      ['is a duplicate, of which there may be another', 'duplicate'],
      ['cannot be asked about', new Error('reset')],
    ])('takes the second back when the first %s', async (_name, state) => {
      const { at, clock, running } = await asking();
      at(0).answer(state);
      await clock.advance(0);
      expect(at(1).asked).toEqual(['withdraw']);
      at(1).answer('withdrawn');
      at(1).turnAway('withdrawn');
      await clock.advance(1);
      at(0).end(ok('a'));
      expect(await running).toEqual(ok('a'));
    });

    it('does not take the second back on word of the first while that is asked: what its server answers holds', async () => {
      const { at, clock, running } = await asking();
      at(0).tie?.heard();
      await clock.advance(0);
      expect(at(1).asked).toEqual([]);
      at(0).answer('withdrawn');
      await clock.advance(0);
      expect(at(1).asked).toEqual(['grant']);
      at(1).answer('granted');
      at(1).end(ok('b'));
      expect(await running).toEqual(ok('b'));
    });

    it('never lets the second start when the first failed and may have run', async () => {
      const { at, clock, running } = await asking();
      at(0).end(new Error('reset'));
      expect(await running).toEqual({ thrown: new Error('reset') });
      await clock.advance(1);
      expect(at(1).asked).toEqual(['withdraw']);
    });

    it('sends it again, untied, when neither copy ran', async () => {
      const { at, clock, running, arrived } = await asking();
      at(0).answer('withdrawn');
      await clock.advance(0);
      at(1).answer('expired');
      at(1).turnAway('expired');
      await clock.advance(1);
      expect(arrived).toHaveLength(3);
      expect([at(2).tie, at(2).to]).toEqual([undefined, 'c']);
      at(2).end(ok('c'));
      expect(await running).toEqual(ok('c'));
    });

    it('waits for the second copy itself when the leave to start got no answer', async () => {
      const { at, clock, running, arrived } = await asking();
      at(0).answer('withdrawn');
      await clock.advance(0);
      at(1).answer(new Error('reset'));
      await clock.advance(100);
      expect(arrived).toHaveLength(2);
      at(1).end(ok('b'));
      expect(await running).toEqual(ok('b'));
    });

    it('sends it again when who was asked to let it start does not have it', async () => {
      const { at, clock, running } = await asking();
      at(0).answer('withdrawn');
      await clock.advance(0);
      at(1).answer('unknown');
      await clock.advance(0);
      expect(at(1).asked).toEqual(['grant', 'abort']);
      at(2).end(ok('c'));
      expect(await running).toEqual(ok('c'));
    });

    it('sends it again once at most', async () => {
      const { at, clock, running, arrived } = await asking();
      at(0).answer('withdrawn');
      await clock.advance(0);
      at(1).turnAway('expired');
      await clock.advance(1);
      at(2).turnAway('withdrawn');
      expect(await running).toEqual(away);
      expect(arrived).toHaveLength(3);
    });

    it('lets the second start when the server of both turns the first away because of it', async () => {
      const { at, clock, running } = await asking();
      at(0).turnAway('duplicate');
      at(0).answer('duplicate');
      await clock.advance(0);
      expect(at(1).asked).toEqual(['grant']);
      at(1).end(ok('b'));
      expect(await running).toEqual(ok('b'));
    });

    it('sends it again when the first is turned away because of a second that was taken back', async () => {
      const { at, clock, running } = await asking();
      at(0).answer('duplicate');
      await clock.advance(0);
      at(1).answer('withdrawn');
      at(1).turnAway('withdrawn');
      await clock.advance(1);
      at(0).turnAway('duplicate');
      await clock.advance(0);
      at(2).end(ok('c'));
      expect(await running).toEqual(ok('c'));
    });

    it('never lets the second start when the first was turned away and may have run', async () => {
      const { at, clock, running, arrived } = await asking();
      at(0).turnAway('started');
      expect(await running).toEqual(away);
      at(0).answer('started');
      await clock.advance(1);
      expect(at(1).asked).toEqual(['withdraw']);
      expect(arrived).toHaveLength(2);
    });

    it('is refused when neither copy ran and it cannot be sent again', async () => {
      let replays = 0;
      const all = scene({
        protocol: {
          classify: (reply) => (reply === undefined || reply.status >= 500 ? 'failure' : 'success'),
          feedback: () => ({ load: { backlogMs: 50, serviceMs: 5, perSecond: 150 } }),
          replay: (request) => (++replays > 1 ? undefined : request),
        },
      });
      await all.learn('a', 'b');
      const running = outcome(all.send('x', post()));
      await all.clock.advance(2);
      all.at(1).tie?.heard();
      await all.clock.advance(0);
      all.at(0).answer('withdrawn');
      await all.clock.advance(0);
      all.at(1).turnAway('expired');
      const { thrown } = (await running) as { thrown: unknown };
      expect(isGovernanceError(thrown) && thrown.code).toBe('CANCELLED');
    });

    it('sends no second copy to an endpoint that is not known to let it wait', async () => {
      const { learn, send, at, clock, arrived } = scene();
      await learn('a');
      const running = send('x', post());
      await clock.advance(50);
      expect(arrived).toHaveLength(1);
      at(0).end(ok('a'));
      expect(await running).toEqual(ok('a'));
    });

    it.each(['hears', 'knows nothing'] as const)('sends one copy over a wire that %s', async (wire) => {
      const { learn, send, at, clock, arrived } = scene({}, wire);
      await learn('a', 'b');
      const running = send('x', post());
      await clock.advance(50);
      expect(arrived).toHaveLength(1);
      at(0).end(ok('a'));
      expect(await running).toEqual(ok('a'));
    });
  });

  it.each<[string, Partial<TiedOptions<string, Reply>>, string, Parameters<typeof get>[0], number]>([
    ['a request', {}, 'x', {}, 2],
    ['no stream', {}, 'stream', {}, 1],
    ['no other operation', { routes: '/search' }, 'x', { operation: 'GET /users/:id' }, 1],
    ['one of these operations', { routes: ['/search', '/users*'] }, 'x', { operation: 'GET /users/:id' }, 2],
    ['an operation that a function names', { routes: ({ operation }) => operation === 'GET' }, 'x', {}, 2],
    ['none that a function does not name', { routes: () => false }, 'x', {}, 1],
    ['no call that must not run twice, if so asked', { claim: false }, 'x', { idempotent: false }, 1],
    ['no more than are allowed', { maxCopyRatio: 0 }, 'x', {}, 1],
  ])('copies %s', async (_name, options, request, init, copies) => {
    const { learnBy, send, at, clock, arrived } = scene(options);
    await learnBy({ ...init, idempotent: true }, 'a', 'b');
    const running = send(request, get(init));
    await clock.advance(5);
    expect(arrived).toHaveLength(copies);
    at(0).end(ok('a'));
    expect(await running).toEqual(ok('a'));
  });

  it('hedges beside endpoints that tell of no starts, within the budget of hedges', async () => {
    let withdrawn = 0;
    const budget: RetryBudget = {
      deposit: () => undefined,
      withdraw: () => {
        withdrawn++;
        return true;
      },
      snapshot: () => ({ available: 1, withdrawn, refused: 0 }),
    };
    const { send, at, clock, arrived } = scene({ budget }, 'knows nothing');
    for (let n = 0; n < 60; n++) {
      const running = send('x', get());
      await clock.advance(1);
      arrived.at(-1)?.end(ok('a'));
      await running;
    }
    arrived.length = 0;
    const running = send('x', get());
    await clock.advance(9);
    expect(arrived).toHaveLength(1);
    await clock.advance(6);
    expect(arrived).toHaveLength(2);
    expect(withdrawn).toBe(1);
    at(1).end(ok('b'));
    expect(await running).toEqual(ok('b'));
    expect(at(0).asked).toEqual(['abort']);
  });

  it('hedges a call for which no second copy is left in the budget of ties', async () => {
    const { send, learn, at, clock, arrived } = scene({ maxDuplicateRatio: 0 });
    await learn('a', 'b');
    for (let n = 0; n < 60; n++) {
      const running = send('x', get());
      await clock.advance(1);
      arrived.at(-1)?.tie?.heard();
      arrived.at(-1)?.end(ok('a'));
      await running;
    }
    arrived.length = 0;
    const running = send('x', get());
    await clock.advance(9);
    expect(arrived).toHaveLength(1);
    await clock.advance(6);
    expect(arrived).toHaveLength(2);
    at(0).tie?.heard();
    await clock.advance(1);
    expect(at(1).asked).toEqual([]);
    at(1).end(ok('b'));
    expect(await running).toEqual(ok('b'));
  });

  it('stops tying beside an endpoint that answers without a word of its start', async () => {
    const { send, learn, clock, at, arrived } = scene();
    await learn('a', 'b');
    const running = send('x', get());
    at(0).end(ok('a'));
    await running;
    arrived.length = 0;
    const other = send('x', get());
    await clock.advance(5);
    expect(arrived).toHaveLength(1);
    at(0).end(ok('a'));
    await other;
  });

  it('is not hedged besides', async () => {
    const { clock, arrived, at, learn, send } = scene();
    await learn('a', 'b');
    const protocol = { classify: () => 'success' as const };
    const below = hedge<string, Reply>({ protocol, clock, delayMs: 1 })((request, call) => {
      expect(call.values.get(tiedCopies)).toBeDefined();
      return send(request, call);
    });
    const call = get();
    call.values.set(tiedCopies, () => undefined);
    const running = below('x', call);
    await clock.advance(1);
    expect(arrived).toHaveLength(1);
    at(0).end(ok('a'));
    await running;
  });

  it('gives the delay to a copy from when its wire has it, which may be later', async () => {
    const { clock, learn, send, arrived, at, delay } = scene();
    await learn('a', 'b');
    delay(new Promise((resolve) => clock.after(10, resolve)));
    const running = send('x', get());
    await clock.advance(11.9);
    expect(arrived).toHaveLength(1);
    await clock.advance(0.1);
    expect(arrived.map(({ tie }) => tie?.copy)).toEqual([1, 2]);
    at(0).tie?.heard();
    at(0).end(ok('a'));
    expect(await running).toEqual(ok('a'));
    await clock.advance(1);
    expect(at(1).asked).toEqual(['withdraw']);
  });

  it('runs on as part of its own call, whoever tells of the start', async () => {
    const { send, learn, clock, at } = scene();
    await learn('a', 'b');
    const storage = new AsyncLocalStorage<string>();
    const running = storage.run('mine', () => send('x', get()));
    await storage.run('timer of another', () => clock.advance(2));
    const asked: (string | undefined)[] = [];
    const { asked: list } = at(0);
    const push = list.push.bind(list);
    list.push = (...what) => {
      asked.push(storage.getStore());
      return push(...what);
    };
    storage.run('connection of another', () => at(1).tie?.heard());
    await clock.advance(0);
    expect(asked).toEqual(['mine']);
    at(1).end(ok('b'));
    await running;
  });

  it('rejects a call with what a function in its routes throws', async () => {
    const { send } = scene({
      routes: () => {
        throw new Error('no');
      },
    });
    await expect(send('x', get())).rejects.toThrow('no');
  });

  it.each<[string, object, typeof RangeError | typeof TypeError]>([
    ['no protocol', { protocol: undefined }, TypeError],
    ['an option that is none', { delay: 1 }, TypeError],
    ['a percentile above 1', { hedgePercentile: 95 }, RangeError],
    ['a delay below 0', { delayMs: -1 }, RangeError],
    ['routes that match nothing', { routes: [] }, TypeError],
    ['a budget that is none', { budget: {} }, TypeError],
  ])('refuses %s', (_name, options, kind) => {
    expect(() => tied({ protocol: { classify: () => 'success' }, ...options } as never)).toThrow(kind);
  });
});
