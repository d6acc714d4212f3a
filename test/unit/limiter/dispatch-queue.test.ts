import { AsyncLocalStorage } from 'node:async_hooks';
import { cancelSource, createCall, currentCall, runWithCall } from 'keelson/core';
import { dispatchQueue } from 'keelson/limiter';
import { describe, expect, it } from 'vitest';
import { scene, settle } from './dispatch-scene.js';

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, at) => `${prefix}${at}`);

describe('a thread that is not busy', () => {
  it('runs a call at once, in the stack of its caller, and asks for no turn', async () => {
    const { ask, log, queue, clock, pending } = scene();
    const asked = ask({ name: 'a', ms: 3 });
    expect(log).toEqual(['a']);
    expect(queue.snapshot(clock.now())).toMatchObject({ queued: 0, running: 1 });
    expect(await asked).toBe('a');
    expect(queue.snapshot(clock.now())).toMatchObject({ queued: 0, running: 0, shedding: false });
    expect(pending()).toBe(0);
  });

  it.each([
    // The first that overdraws the millisecond is the last of the turn.
    [3, 1],
    [0.9, 2],
    [0.3, 4],
    [0.01, 20],
  ])('calls of %s ms that come in one turn: %s run in it', async (ms, atOnce) => {
    const all = scene({ budgetMs: 1000 });
    for (const name of names('', 20)) void all.ask({ name, ms });
    expect(all.log.length).toBe(atOnce);
    await all.drain();
    expect(all.log).toEqual(names('', 20));
  });

  it('in each turn after that runs one that is dear, or several that are cheap', async () => {
    const dear = scene();
    for (const name of names('', 4)) void dear.ask({ name, ms: 3 });
    const lengths = [dear.log.length];
    for (let i = 0; i < 3; i++) {
      await dear.turn();
      lengths.push(dear.log.length);
    }
    expect(lengths).toEqual([1, 2, 3, 4]);
    const cheap = scene({ sliceMs: 2 });
    for (const name of names('', 8)) void cheap.ask({ name, ms: 0.75 });
    expect(cheap.log.length).toBe(3);
    await cheap.turn();
    expect(cheap.log.length).toBe(6);
    await cheap.drain();
    expect(cheap.log).toEqual(names('', 8));
  });

  it.each([0, 10])(
    'takes a call whose deadline is sooner than one took %s ms ago: it is alone, and may be quicker',
    async (passedMs) => {
      const { ask, clock, drain } = scene();
      await ask({ name: 'cold', ms: 80 });
      await clock.advance(passedMs);
      const asked = ask({ name: 'warm', ms: 1 }, { deadline: clock.now() + 40 });
      await drain();
      expect(await asked).toBe('warm');
    },
  );

  it('work that follows in a later tick counts too: what was read with it waits for the turn', async () => {
    const { ask, work, clock, log, drain } = scene();
    const later = async (): Promise<void> => {
      await null;
      work(3);
    };
    for (let i = 0; i < 40; i++) {
      await ask({ name: 'learn', end: later });
      await clock.advance(10);
    }
    log.length = 0;
    await ask({ name: 'a', end: later });
    void ask({ name: 'b', end: later });
    expect(log).toEqual(['a']);
    await drain();
    expect(log).toEqual(['a', 'b']);
  });

  it('a call that comes when time has passed finds a slice of its own', async () => {
    const { ask, log, clock } = scene();
    void ask({ name: 'a', ms: 3 });
    clock.advanceSync(3);
    void ask({ name: 'b', ms: 3 });
    expect(log).toEqual(['a', 'b']);
  });
});

describe('who would wait too long', () => {
  it('is not refused among the first calls of a process, which say nothing of those to come', async () => {
    const { ask, seen, drain } = scene();
    await ask({ name: 'cold', ms: 100 });
    for (const name of names('', 20)) void ask({ name, ms: 3 });
    await drain();
    expect(seen.map(({ outcome }) => outcome)).toEqual(['cold', ...names('', 20)]);
  });

  it('is given up among the first calls as soon as these show what they cost', async () => {
    const { ask, seen, drain, log, clock, queue } = scene();
    const began = clock.now();
    for (const name of names('', 100)) void ask({ name, ms: 20 });
    expect(queue.snapshot(clock.now()).queued).toBe(99);
    await drain();
    // Three show it, and eight more may wait, with the one whose turn it is.
    expect(log).toEqual(names('', 12));
    expect(seen.filter(({ outcome }) => outcome === 'OVERLOADED').length).toBe(88);
    expect(clock.now() - began).toBeLessThan(260);
  });

  it('is refused when he comes, and told by when what waits is worked off', async () => {
    const { ask, learn, drain, seen, queue, clock, log } = scene();
    await learn(2);
    // Of 2 ms each, with one running: behind 20 of them the wait is 40 ms, behind 21 it is more.
    for (const name of names('', 25)) void ask({ name, ms: 2 });
    await settle();
    expect(seen.map(({ outcome }) => outcome).toSorted()).toEqual(['0', ...Array(3).fill('OVERLOADED')]);
    expect(seen[0]?.retryAfterMs).toBeGreaterThanOrEqual(40);
    expect(queue.snapshot(clock.now())).toMatchObject({ queued: 21, shedding: true, budgetMs: 40 });
    expect(queue.backlogMs(clock.now())).toBeCloseTo(42, 0);
    await drain();
    expect(log).toEqual(names('', 22));
  });

  it('may always wait for eight average calls', async () => {
    const { ask, learn, queue, clock } = scene();
    await learn(10);
    for (const name of names('', 25)) void ask({ name, ms: 10 });
    await settle();
    const { budgetMs, queued } = queue.snapshot(clock.now());
    expect(budgetMs).toBeCloseTo(80, 3);
    expect(queued).toBe(9);
  });

  it.each([
    // As given, though two calls and a half take as long.
    [{ budgetMs: 25 }, 25, 3],
    // One may always wait.
    [{ budgetMs: 5 }, 10, 2],
    [{ budgetMs: 25, leastCalls: 8 }, 80, 9],
    [{ leastCalls: 2 }, 40, 5],
    [{ leastCalls: 20 }, 200, 21],
    [{ budgetMs: undefined }, 80, 9],
  ])('%o allows calls of 10 ms %d ms: %d wait', async (options, budgetMs, queued) => {
    const { ask, learn, queue, clock } = scene(options);
    await learn(10);
    for (const name of names('', 40)) void ask({ name, ms: 10 });
    await settle();
    expect(queue.snapshot(clock.now()).budgetMs).toBeCloseTo(budgetMs, 3);
    expect(queue.snapshot(clock.now()).queued).toBe(queued);
  });

  it('is not refused in a burst that passes, up to so many times the budget', async () => {
    const { ask, learn, queue, clock } = scene({ burstRatio: 2 });
    await learn(2);
    for (const name of names('', 60)) void ask({ name, ms: 2 });
    await settle();
    expect(queue.snapshot(clock.now()).queued).toBe(41);
  });

  it('is refused from so many calls on, whatever they cost', async () => {
    const { ask, queue, clock, seen } = scene({ maxQueued: 3, sliceMs: 0 });
    for (const name of names('', 7)) void ask({ name, ms: 0.1 });
    await settle();
    expect(queue.snapshot(clock.now()).queued).toBe(3);
    expect(seen.filter(({ outcome }) => outcome === 'OVERLOADED').length).toBe(3);
  });

  it('can be told before there is a call of him', async () => {
    const { ask, learn, queue, clock } = scene();
    await learn(2);
    expect(queue.refusing).toBe(false);
    for (const name of names('', 25)) void ask({ name, ms: 2 });
    await settle();
    const now = clock.now();
    expect(queue.refusing).toBe(true);
    expect(queue.refuseEarly(now, { operation: 'GET' })).toBe(true);
    expect(queue.refuseEarly(now, { operation: 'GET', priority: 1 })).toBe(false);
    expect(queue.snapshot(now)).toMatchObject({ queued: 21, running: 0 });
    expect(queue.retryAfterMs?.(now)).toBeGreaterThanOrEqual(40);
  });
});

describe('the order of those who wait', () => {
  it('is that of their priority, and else in which they came', async () => {
    const { ask, drain, log } = scene();
    void ask({ name: 'first', ms: 3 });
    void ask({ name: 'low', ms: 3 }, { priority: -1 });
    void ask({ name: 'a', ms: 3 });
    void ask({ name: 'high', ms: 3 }, { priority: 5 });
    void ask({ name: 'b', ms: 3 });
    void ask({ name: 'odd', ms: 3 }, { priority: Number.NaN });
    await drain();
    expect(log).toEqual(['first', 'high', 'a', 'b', 'odd', 'low']);
  });

  it('lets keys share alike, however much one asks for', async () => {
    const { ask, learn, drain, log } = scene();
    await learn(3);
    for (const name of names('greedy', 7)) void ask({ name, ms: 3 }, { key: 'greedy' });
    for (const name of names('modest', 2)) void ask({ name, ms: 3 }, { key: 'modest' });
    await drain();
    expect(log.slice(0, 5)).toEqual(['greedy0', 'greedy1', 'modest0', 'greedy2', 'modest1']);
  });

  it('lets operations share by what they cost', async () => {
    const { ask, learn, drain, log } = scene();
    await learn(6, { operation: 'dear' });
    await learn(2, { operation: 'cheap' });
    void ask({ name: 'first', ms: 6 }, { operation: 'dear' });
    for (const name of names('dear', 3)) void ask({ name, ms: 6 }, { operation: 'dear' });
    for (const name of names('cheap', 6)) void ask({ name, ms: 2 }, { operation: 'cheap' });
    await drain();
    expect(log).toEqual([
      'first',
      ...['dear0', 'cheap0', 'cheap1', 'cheap2'],
      ...['dear1', 'cheap3', 'cheap4', 'cheap5', 'dear2'],
    ]);
  });

  it('makes room for one of more importance: the newest of the lowest is given up', async () => {
    const { ask, learn, drain, log, seen } = scene();
    await learn(2);
    for (const name of names('', 22)) void ask({ name, ms: 2 });
    void ask({ name: 'high', ms: 2 }, { priority: 1 });
    await settle();
    expect(seen.filter(({ outcome }) => outcome === 'OVERLOADED').length).toBeGreaterThan(0);
    await drain();
    expect(log[1]).toBe('high');
    // From the end on, and none in between.
    expect(log.slice(2)).toEqual(names('', 22).slice(1, log.length - 1));
  });

  it('makes room for a key that has less', async () => {
    const { ask, learn, drain, log } = scene();
    await learn(2);
    for (const name of names('greedy', 22)) void ask({ name, ms: 2 }, { key: 'greedy' });
    void ask({ name: 'modest', ms: 2 }, { key: 'modest' });
    await drain();
    expect(log).toContain('modest');
    expect(log.indexOf('modest')).toBeLessThan(4);
    expect(log).not.toContain('greedy21');
  });

  it('leaves the lowest a share of the time', async () => {
    const { ask, learn, turn, log, clock } = scene({ minShareRatio: 0.1, budgetMs: 40 });
    await learn(2);
    await learn(2, { priority: -1 });
    for (let i = 0; i < 500; i++) {
      void ask({ name: 'high', ms: 2 }, { priority: 1 });
      if (i % 2 === 0) void ask({ name: 'low', ms: 2 }, { priority: -1 });
      await turn();
    }
    const low = log.filter((name) => name === 'low').length / log.length;
    expect(clock.now()).toBeGreaterThan(1000);
    expect(low).toBeGreaterThan(0.08);
    expect(low).toBeLessThan(0.13);
  });

  it('keeps an operation to its part of the queue', async () => {
    const { ask, learn, log, drain } = scene({ partitions: { reports: 0.25 } });
    await learn(2, { operation: 'reports' });
    await learn(2, { operation: 'users' });
    void ask({ name: 'first', ms: 2 }, { operation: 'users' });
    for (const name of names('report', 10)) void ask({ name, ms: 2 }, { operation: 'reports' });
    for (const name of names('user', 10)) void ask({ name, ms: 2 }, { operation: 'users' });
    await drain();
    // A quarter of 40 ms holds five of 2 ms.
    expect(log.filter((name) => name.startsWith('report')).length).toBe(5);
    expect(log.filter((name) => name.startsWith('user')).length).toBe(10);
  });

  it('lets one call wait of an operation that is dearer than its part', async () => {
    const { ask, learn, log, drain } = scene({ partitions: { reports: 0.1 } });
    await learn(2);
    await learn(10, { operation: 'reports' });
    void ask({ name: 'first', ms: 2 });
    void ask({ name: 'report', ms: 10 }, { operation: 'reports' });
    void ask({ name: 'another', ms: 10 }, { operation: 'reports' });
    await drain();
    expect(log).toEqual(['first', 'report']);
  });
});

describe('who cannot be served any more', () => {
  it('is not taken if he would be too late', async () => {
    const { ask, learn, seen, clock } = scene();
    await learn(5);
    for (const name of names('', 4)) void ask({ name, ms: 5 });
    // 15 ms wait before it, and it takes 5.
    void ask({ name: 'late', ms: 5 }, { deadline: clock.now() + 19 });
    await settle();
    expect(seen.map(({ outcome }) => outcome)).toEqual(['OVERLOADED', '0']);
    void ask({ name: 'in time', ms: 5 }, { deadline: clock.now() + 21 });
    await settle();
    expect(seen.length).toBe(2);
  });

  it('is not run when his time has passed', async () => {
    const { ask, seen, clock, drain, log } = scene();
    void ask({ name: 'first', ms: 3 });
    const asked = ask({ name: 'late' }, { deadline: clock.now() + 5 });
    clock.advanceSync(6);
    await drain();
    expect(await asked).toBe('DEADLINE_EXCEEDED');
    expect(log).toEqual(['first']);
    expect(seen.length).toBe(2);
  });

  it('leaves when he is gone, and the others move up', async () => {
    const { ask, queue, clock, drain, log } = scene();
    const cancel = cancelSource();
    void ask({ name: 'first', ms: 3 });
    const gone = ask({ name: 'gone', ms: 3 }, { cancel });
    void ask({ name: 'other', ms: 3 });
    expect(queue.snapshot(clock.now()).queued).toBe(2);
    cancel.abort(new Error('gone'));
    expect(queue.snapshot(clock.now()).queued).toBe(1);
    expect(await gone).toBe('Error: gone');
    await drain();
    cancel.abort(new Error('again'));
    expect(log).toEqual(['first', 'other']);
  });

  it('does not come in if he was gone before', async () => {
    const { ask, log } = scene();
    const cancel = cancelSource();
    cancel.abort(new Error('gone'));
    expect(await ask({ name: 'a' }, { cancel })).toBe('Error: gone');
    expect(log).toEqual([]);
  });

  it('is not taken out when he runs', async () => {
    const { ask, queue, clock, log } = scene();
    const cancel = cancelSource();
    let end = (): void => undefined;
    const asked = ask({ name: 'a', end: new Promise<void>((resolve) => (end = resolve)) }, { cancel });
    cancel.abort(new Error('gone'));
    expect(queue.snapshot(clock.now()).running).toBe(1);
    end();
    expect(await asked).toBe('a');
    expect(queue.snapshot(clock.now()).running).toBe(0);
    expect(log).toEqual(['a']);
  });
});

describe('what a call costs', () => {
  it('is measured, where it is done in one go', async () => {
    const { learn, queue, clock } = scene();
    await learn(7);
    expect(queue.snapshot(clock.now()).serviceMs).toBeCloseTo(7, 3);
  });

  it('is told from how busy the thread was, where it goes on after a wait', async () => {
    const { ask, work, clock, queue } = scene();
    for (let i = 0; i < 100; i++) {
      let end = (): void => undefined;
      const asked = ask({ name: 'a', ms: 1, end: new Promise<void>((resolve) => (end = resolve)) });
      await clock.advance(20);
      work(4);
      end();
      await asked;
      await clock.advance(10);
    }
    expect(queue.snapshot(clock.now()).serviceMs).toBeCloseTo(5, 0);
  });

  it('is kept apart by operation, though they go on at the same time', async () => {
    // With so much of a budget none of them has to wait.
    const { ask, work, clock, queue, learn } = scene({ budgetMs: 400 });
    await learn(0.1, { operation: 'cheap' }, 1);
    // 2 to 6 of the one, 6 to 2 of the other, together in each of many stretches; the thread is busy for more than half.
    for (let i = 0; i < 150; i++) {
      const dear = 2 + 2 * (i % 3);
      const ends: (() => void)[] = [];
      const open = (operation: string) =>
        ask(
          { name: operation, ms: 0.1, end: new Promise<void>((resolve) => ends.push(resolve)) },
          { operation },
        );
      const all = [
        ...names('', dear).map(() => open('dear')),
        ...names('', 8 - dear).map(() => open('cheap')),
      ];
      await clock.advance(10);
      work(dear * 6 + (8 - dear) * 0.4);
      for (const end of ends) end();
      await Promise.all(all);
      await clock.advance(10);
    }
    // By what is let in, when the first keeps the thread: 400 ms hold some 66 of 6.1 ms.
    // Of those of 0.5 ms, who share with them, half as much holds 400; a third of that would do to tell them apart.
    const count = async (operation: string) => {
      const before = queue.snapshot(clock.now()).queued;
      for (const name of names('', 200)) void ask({ name, ms: 3 }, { operation });
      await settle();
      return queue.snapshot(clock.now()).queued - before;
    };
    const dear = await count('dear');
    expect(dear).toBeGreaterThan(50);
    expect(dear).toBeLessThan(90);
    expect(await count('cheap')).toBeGreaterThan(133);
  });

  /** An idle thread that is asked for so many calls at once, which wait for 20 ms. How many were served? */
  const burst = async (
    { ask, work, clock, turn, seen }: ReturnType<typeof scene>,
    { count, eachMs, pauseMs = 0 }: { count: number; eachMs: number; pauseMs?: number },
  ): Promise<number> => {
    seen.length = 0;
    const ends: (() => void)[] = [];
    for (const name of names('', count)) {
      work(eachMs / 2);
      void ask({ name, ms: eachMs / 10, end: () => new Promise<void>((resolve) => ends.push(resolve)) });
    }
    await clock.advance(20);
    work(pauseMs);
    for (let turns = 0; seen.length < count && turns < 2000; turns++) {
      for (const end of ends.splice(0)) {
        work(0.4 * eachMs);
        end();
      }
      await turn();
      await clock.advance(1);
    }
    await clock.advance(300);
    return seen.filter(({ outcome }) => outcome !== 'OVERLOADED').length;
  };

  it.each([1, 3, 10, 60])(
    'is not what a pause cost that met %s calls of an idle thread, which serves all that come next',
    async (paused) => {
      const all = scene();
      for (let i = 0; i < 5; i++) expect(await burst(all, { count: 100, eachMs: 0.3 })).toBe(100);
      expect(await burst(all, { count: paused, eachMs: 0.3, pauseMs: 845 })).toBe(paused);
      for (let i = 0; i < 5; i++) expect(await burst(all, { count: 100, eachMs: 0.3 })).toBe(100);
    },
  );

  it('is not what the first calls of a process cost', async () => {
    const all = scene();
    // The thread was busy all the time, so that was true; one burst on a thread that sleeps shows that it is no more.
    await burst(all, { count: 100, eachMs: 4 });
    expect(await burst(all, { count: 100, eachMs: 0.3 })).toBeGreaterThan(50);
    for (let i = 0; i < 5; i++) expect(await burst(all, { count: 100, eachMs: 0.3 })).toBe(100);
  });

  it('is not that of a single one that takes a thousand times as long', async () => {
    const { ask, clock, queue } = scene();
    for (let i = 0; i < 40; i++) {
      await ask({ name: 'a', ms: 0.5 });
      await clock.advance(5);
    }
    await ask({ name: 'stalled', ms: 900 });
    await clock.advance(5);
    expect(queue.snapshot(clock.now()).serviceMs).toBeLessThan(1.5);
  });

  it('is nothing where the clock steps back', async () => {
    const { clock, ask, queue, learn } = scene();
    await learn(5);
    for (let i = 0; i < 20; i++) {
      const asked = ask({ name: 'a', ms: -500 });
      await asked;
      expect(queue.snapshot(clock.now())).toMatchObject({ queued: 0, running: 0 });
    }
    expect(queue.snapshot(clock.now()).serviceMs).toBeCloseTo(5, 1);
    expect(await ask({ name: 'a', ms: 1 })).toBe('a');
  });

  it('is learned with a platform that tells nothing, and with one that lies', async () => {
    const throwing = () => {
      throw new Error('no such thing');
    };
    for (const busyMs of [() => Number.NaN, () => -1e12, () => Number.POSITIVE_INFINITY, throwing]) {
      const { learn, queue, clock, ask, drain, log } = scene({ busyMs, events: throwing });
      await learn(2);
      expect(queue.snapshot(clock.now()).serviceMs).toBeCloseTo(2, 3);
      for (const name of names('', 10)) void ask({ name, ms: 2 });
      await drain();
      expect(log.length).toBe(10);
    }
  });

  it('is that of all together for operations beyond the thousandth', async () => {
    const { ask, queue, clock } = scene();
    for (let i = 0; i < 1100; i++) {
      await ask({ name: 'a', ms: 2 }, { operation: `op${i}` });
      await clock.advance(3);
    }
    expect(queue.snapshot(clock.now()).serviceMs).toBeCloseTo(2, 1);
  });
});

describe('handlers that fail', () => {
  it.each([
    ['throws', () => Promise.reject(new Error('mine'))],
    [
      'throws at once',
      () => {
        throw new Error('mine');
      },
    ],
  ])('one that %s is over, waiting or not', async (_how, handler) => {
    const { queue, clock, turn } = scene();
    const run = queue.middleware<string, string>()(handler);
    const busy = queue.middleware<string, string>()(async () => {
      clock.advanceSync(3);
      return 'busy';
    });
    const call = () => createCall({ side: 'server', service: 'shop', operation: 'GET' });
    await expect(run('a', call())).rejects.toThrow('mine');
    void busy('b', call());
    const waiting = run('c', call());
    const failed = expect(waiting).rejects.toThrow('mine');
    await turn();
    await failed;
    expect(queue.snapshot(clock.now())).toMatchObject({ queued: 0, running: 0 });
  });
});

describe('what others are told', () => {
  it('is when refusing starts, whom it meets, and when it is over', async () => {
    const told: unknown[] = [];
    const { ask, learn, drain, clock, queue } = scene({
      onTransition: (shedding) => void told.push(shedding),
      onRefuse: (_now, priority) => void told.push(priority),
    });
    await learn(2, { priority: -3 });
    for (const name of names('', 24)) void ask({ name, ms: 2 }, { priority: -3 });
    await settle();
    expect(told).toEqual([true, -3, -3]);
    expect(queue.snapshot(clock.now()).admitRatio).toBeLessThan(1);
    await drain();
    await clock.advance(900);
    expect(queue.snapshot(clock.now()).shedding).toBe(true);
    await clock.advance(200);
    expect(queue.snapshot(clock.now()).shedding).toBe(false);
    expect(told).toEqual([true, -3, -3, false]);
    await clock.advance(2000);
    expect(queue.snapshot(clock.now()).admitRatio).toBeUndefined();
  });

  it('is a share of all who came lately, those before the first refusal included', async () => {
    const { ask, learn, drain, clock, queue, seen } = scene();
    // One in 5 ms: 400 of them within two seconds, of which the last tenth of a second is not over.
    await learn(2, {}, 500);
    expect(queue.snapshot(clock.now()).admitRatio).toBeUndefined();
    for (const name of names('', 30)) void ask({ name, ms: 2 });
    // Too important to be part of it.
    for (const name of names('', 5)) void ask({ name, ms: 2 }, { priority: 1 });
    await settle();
    const refused = seen.filter(({ outcome }) => outcome === 'OVERLOADED').length;
    expect(refused).toBeGreaterThan(5);
    const came = Math.round(refused / (1 - (queue.snapshot(clock.now()).admitRatio as number)));
    expect(came).toBeGreaterThanOrEqual(30 + 380);
    expect(came).toBeLessThanOrEqual(30 + 400);
    await drain();
  });

  it('may be told to several, who come and go', async () => {
    const told: unknown[] = [];
    const { ask, learn, drain, queue, clock } = scene({
      onTransition: (shedding) => void told.push(['own', shedding]),
      onRefuse: (_now, priority) => void told.push(['own', priority]),
    });
    const one = {
      onTransition: (shedding: boolean) => void told.push(['one', shedding]),
      onRefuse: (_now: number, priority: number) => void told.push(['one', priority]),
    };
    const deaf = queue.listen(one);
    queue.listen(one);
    queue.listen({
      onTransition: () => {
        throw new Error('a listener');
      },
    });
    queue.listen({ onRefuse: (_now, priority) => void told.push(['two', priority]) });
    await learn(2);
    for (const name of names('', 23)) void ask({ name, ms: 2 });
    await settle();
    expect(told).toEqual([
      ...[
        ['own', true],
        ['one', true],
      ],
      ...[
        ['own', 0],
        ['one', 0],
        ['two', 0],
      ],
    ]);
    told.length = 0;
    deaf();
    deaf();
    expect(queue.refuseEarly(clock.now(), { operation: 'GET', priority: -1 })).toBe(true);
    expect(told).toEqual([
      ['own', -1],
      ['two', -1],
    ]);
    await drain();
  });

  it('costs no call, whatever they throw', async () => {
    const throwing = () => {
      throw new Error('a hook of the user');
    };
    const { ask, learn, drain, seen } = scene({
      onTransition: throwing,
      onRefuse: () => Promise.reject(new Error('late')) as never,
    });
    await learn(2);
    for (const name of names('', 24)) void ask({ name, ms: 2 });
    await drain();
    expect(seen.length).toBe(24);
    expect(seen.filter(({ outcome }) => outcome === 'OVERLOADED').length).toBe(2);
  });
});

describe('a call that waited', () => {
  it('runs as part of what was current when it came', async () => {
    const { queue, turn, clock } = scene();
    const storage = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const handler = queue.middleware<string, string>()(async (request) => {
      seen.push([request, storage.getStore(), currentCall()?.operation]);
      clock.advanceSync(3);
      await settle();
      seen.push([request, storage.getStore(), currentCall()?.operation]);
      return request;
    });
    const all = ['a', 'b', 'c'].map((name) => {
      const call = createCall({ side: 'server', service: 'shop', operation: name });
      return storage.run(name, () => runWithCall(call, () => handler(name, call)));
    });
    for (let i = 0; i < 3; i++) await turn();
    await Promise.all(all);
    for (const [request, stored, operation] of seen as string[][])
      expect([stored, operation]).toEqual([request, request]);
    expect(seen.length).toBe(6);
  });

  it('begins its time when it starts, not when it came', async () => {
    const { queue, turn, clock } = scene();
    const times: number[] = [];
    // Layers that follow each other directly are told when they were asked.
    const handler = queue.middleware<string, string>()(
      dispatchQueue({ clock, events: () => Number.NaN }).middleware<string, string>()(async (request) => {
        times.push(clock.now());
        clock.advanceSync(3);
        return request;
      }),
    );
    const call = () => createCall({ side: 'server', service: 'shop', operation: 'GET' });
    const all = [handler('a', call()), handler('b', call())];
    await turn();
    expect(await Promise.all(all)).toEqual(['a', 'b']);
    expect(times).toEqual([1000, 1003]);
  });
});

describe('new connections', () => {
  it('are let in before the next call starts, but not for longer than the one before took', async () => {
    let events = 0;
    const all = scene({ events: () => events, sliceMs: 1 });
    for (const name of names('', 3)) void all.ask({ name, ms: 4 });
    const turns = async (count: number) => {
      for (let i = 0; i < count; i++) {
        events++;
        all.work(0.5);
        await all.turn();
      }
    };
    // At first nothing is known but the slice: after one millisecond the next call starts.
    await turns(1);
    expect(all.log).toEqual(['0']);
    await turns(1);
    expect(all.log).toEqual(['0', '1']);
    // It took 4 ms.
    await turns(7);
    expect(all.log).toEqual(['0', '1']);
    await turns(1);
    expect(all.log).toEqual(['0', '1', '2']);
  });

  it('that there are none of, nobody waits for', async () => {
    const all = scene({ events: () => 7 });
    for (const name of names('', 3)) void all.ask({ name, ms: 4 });
    await all.turn();
    await all.turn();
    expect(all.log).toEqual(['0', '1', '2']);
  });
});

describe('options', () => {
  it.each([
    [{ budgetMs: 0 }, RangeError, 'dispatchQueue.budgetMs'],
    [{ budgetMs: '1' }, TypeError, 'dispatchQueue.budgetMs'],
    [{ leastCalls: 0 }, RangeError, 'dispatchQueue.leastCalls'],
    [{ leastCalls: 1.5 }, RangeError, 'dispatchQueue.leastCalls'],
    [{ burstRatio: 0.5 }, RangeError, 'dispatchQueue.burstRatio'],
    [{ minShareRatio: 0.6 }, RangeError, 'dispatchQueue.minShareRatio'],
    [{ maxQueued: 1.5 }, RangeError, 'dispatchQueue.maxQueued'],
    [{ sliceMs: -1 }, RangeError, 'dispatchQueue.sliceMs'],
    [{ partitions: { a: 0 } }, RangeError, 'dispatchQueue.partitions["a"]'],
    [{ partitions: 3 }, TypeError, 'dispatchQueue.partitions'],
    [{ startLimit: 1 }, TypeError, 'dispatchQueue.startLimit'],
    [{ turn: 1 }, TypeError, 'dispatchQueue.turn'],
    [{ onRefuse: 1 }, TypeError, 'dispatchQueue.onRefuse'],
    [{ budget: 1 }, TypeError, 'dispatchQueue.budget is not an option'],
  ])('%o', (options, kind, message) => {
    expect(() => dispatchQueue(options as never)).toThrow(kind);
    expect(() => dispatchQueue(options as never)).toThrow(message);
  });
});
