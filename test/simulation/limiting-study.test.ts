import { describe, expect, it } from 'vitest';
import { World } from '../../bench/sim/engine/world.mjs';
import { contenders, judgedContenders } from '../../bench/sim/limiting/contenders/all.mjs';
import { appQueue, Waiting } from '../../bench/sim/limiting/contenders/app-queue.mjs';
import { figures } from '../../bench/sim/limiting/figures.mjs';
import { erlangLoss, physicalLimit } from '../../bench/sim/limiting/laws.mjs';
import { delayMonitor, hostOf } from '../../bench/sim/limiting/platform.mjs';
import type { Contender, Scenario } from '../../bench/sim/limiting/run.mjs';
import { keptBack, steps } from '../../bench/sim/limiting/scenarios/all.mjs';
import { bound, costs } from '../../bench/sim/limiting/scenarios/shape.mjs';
import { steady } from '../../bench/sim/limiting/scenarios/steady.mjs';
import { Thread } from '../../bench/sim/limiting/thread.mjs';

const lengths = { calmMs: 2000, hardMs: 3000 };
const contender = (id: string): Contender => {
  const found = contenders.find((each) => each.id === id);
  if (found === undefined) throw new Error(`no contender ${id}`);
  return found;
};
const scenario = (id: string): Scenario => {
  const found = [...steps(lengths), ...keptBack(lengths)].find((each) => each.id === id);
  if (found === undefined) throw new Error(`no scenario ${id}`);
  return found;
};

/** A job of one step of so many ms, which then says that it is over. */
const job = (ms: number, over: () => void = () => undefined) => {
  let begun = false;
  return {
    step(): number {
      if (!begun) {
        begun = true;
        return ms;
      }
      over();
      return -1;
    },
  };
};

describe('the thread', () => {
  const told = () => {
    const world = new World();
    const log: string[] = [];
    return { world, log, say: (what: string) => () => void log.push(`${what} ${world.now}`) };
  };

  it('polls what is ready, then runs immediates, then timers; what comes meanwhile waits for the next turn', () => {
    const { world, log, say } = told();
    const thread = new Thread(world);
    thread.timer(1, say('timer'));
    world.at(0, () => {
      thread.ready(
        job(5, () => {
          say('a')();
          thread.immediate(job(1, say('immediate')));
        }),
      );
    });
    world.at(2, () => thread.ready(job(1, say('b'))));
    world.run(100);
    expect(log).toEqual(['a 5', 'immediate 6', 'timer 6', 'b 7']);
    // The first woke the loop, the second had been waiting for it.
    expect({ events: thread.events, waiting: thread.eventsWaiting, turns: thread.turns }).toEqual({
      events: 2,
      waiting: 1,
      turns: 2,
    });
    expect(thread.activeMs).toBe(7);
    expect(thread.sleptMs).toBe(93);
  });

  it('takes no more than 1024 events at once', () => {
    const { world } = told();
    const thread = new Thread(world);
    const order: string[] = [];
    thread.ready(job(1));
    for (let count = 0; count < 1500; count++)
      thread.ready(
        job(0.001, () => {
          if (count === 0) thread.immediate(job(0, () => order.push('immediate')));
          if (count === 1023 || count === 1024) order.push(`event ${count}`);
        }),
      );
    world.run(100);
    expect(order).toEqual(['event 1023', 'immediate', 'event 1024']);
  });

  it('neither wakes nor stays awake for the end of a turn', () => {
    const { world, log, say } = told();
    const thread = new Thread(world);
    thread.onTurnEnd(say('end'));
    world.at(10, () => thread.ready(job(2)));
    world.run(5);
    expect(log).toEqual([]);
    world.run(100);
    expect(log).toEqual(['end 12']);
  });

  it('stands still when a quota is used up, and shows it as a control group does', () => {
    const { world, log, say } = told();
    const quota = { quotaMs: 50, periodMs: 100 };
    const thread = new Thread(world, quota);
    world.at(0, () => thread.ready(job(120, say('done'))));
    world.run(1000);
    // 50 ms of each 100: the last 20 in the third period.
    expect(log).toEqual(['done 220']);
    const stat = hostOf(thread, quota).readFile('/sys/fs/cgroup/cpu.stat');
    expect(stat).toContain('usage_usec 120000\n');
    expect(stat).toContain('nr_throttled 2\n');
    expect(stat).toContain('throttled_usec 100000\n');
  });

  it('shows delay as monitorEventLoopDelay does', () => {
    const world = new World();
    const thread = new Thread(world);
    const monitor = delayMonitor(thread);
    world.run(100);
    expect(monitor.mean).toBe(10);
    monitor.reset();
    thread.ready(job(55));
    world.run(200);
    // One interval of 55 + 10 at the worst among nine others.
    expect(monitor.mean).toBeGreaterThan(12);
  });
});

describe('the laws', () => {
  it.each([
    { load: 2, serveMs: 3, rejectMs: 0.03, limit: 0.976 },
    { load: 5, serveMs: 3, rejectMs: 0.03, limit: 0.906 },
    { load: 10, serveMs: 3, rejectMs: 0.03, limit: 0.788 },
    { load: 5, serveMs: 1, rejectMs: 0.15, limit: 0.106 },
    { load: 0.6, serveMs: 3, rejectMs: 0.03, limit: 0.6 },
    { load: 1000, serveMs: 3, rejectMs: 0.03, limit: 0 },
  ])('at $load times, $serveMs ms, a refusal of $rejectMs: $limit', ({ load, serveMs, rejectMs, limit }) => {
    const found = physicalLimit(load, { serveMs, parseMs: 0.04, rejectMs });
    expect(found).toBeCloseTo(limit, 3);
    // All of the thread: answered work, and reading and refusing the rest.
    if (limit > 0 && load > 1)
      expect(found * (serveMs + 0.04) + (load - found) * (0.04 + rejectMs)).toBeCloseTo(serveMs + 0.04, 9);
  });

  it.each([
    { load: 0.6, places: 13, loss: 0.00052 },
    { load: 0.9, places: 13, loss: 0.033 },
    { load: 1, places: 4, loss: 0.2 },
  ])('at $load, $places places: $loss', ({ load, places, loss }) => {
    expect(erlangLoss(load, places)).toBeCloseTo(loss, 4);
  });

  it('of loss is what a queue with so many places has in the simulation', () => {
    const places = 5;
    const bounded: Contender = {
      id: 'bounded',
      name: 'bounded',
      make({ thread }) {
        const waiting = new Waiting();
        let open = 0;
        return appQueue(thread, {
          size: () => waiting.size,
          enter(call, now) {
            if (open === places) return false;
            open++;
            waiting.push(call, now);
            return true;
          },
          next: () => waiting.first()?.call,
          ended: () => void open--,
        });
      },
    };
    // Reading costs next to nothing, and is done when a call has been answered: the one being served never is among those
    // that wait, so that there is room for one more.
    const free = { parseMs: 1e-6, rejectMs: 1e-6 };
    const { refused } = figures({ ...steady('sync', 0.9, 400_000), perMs: 1 / 3, costs: free }, bounded, 1);
    // 120 000 calls of which 0.1 are lost, and losses come in runs: sigma is below 0.003.
    expect(Math.abs(refused - erlangLoss(0.9, places + 1))).toBeLessThan(0.009);
  });
});

describe('the study', () => {
  it('says the same twice', () => {
    for (const { id } of contenders) {
      const once = figures(scenario('step-5-async'), contender(id), 3);
      expect(figures(scenario('step-5-async'), contender(id), 3)).toEqual(once);
    }
  });

  it('offers the same calls to all, whatever they do with them', () => {
    const offered = contenders.map(({ id }) => {
      const { refusedBefore: _refused, ...rest } = figures(steady('async', 0.3, 2000), contender(id), 7);
      return rest.goodput.toFixed(6);
    });
    expect(new Set(offered).size).toBe(1);
  });

  it.each(['step-2-async', 'step-5-async', 'step-2-sync', 'step-5-sync'])(
    '%s: without a limiter it collapses',
    (id) => {
      // The queue passes the deadline of 0.5 s after 0.5 s / (X - 1), the first phase of the step; afterwards all is late.
      const { goodput, servedAfter } = figures(scenario(id), contender('none'), 1);
      expect(goodput).toBeLessThan(0.4);
      expect(servedAfter).toBeLessThan(0.1);
    },
  );

  it('around handlers that never await, what is in flight shows nothing', () => {
    const none = figures(scenario('step-5-sync'), contender('none'), 1);
    for (const id of ['fixed-20', 'gradient', 'vegas'])
      expect(figures(scenario('step-5-sync'), contender(id), 1)).toEqual(none);
  });

  it('kratos with its own signal stays down after the step', () => {
    const long = { calmMs: 6000, hardMs: 15_000 };
    const found = steps(long).find(({ id }) => id === 'step-5-async') as Scenario;
    // Its CPU signal notices after 6.8 s, when some 27 s of work are queued.
    expect(figures(found, contender('kratos-500-0.95'), 1).servedAfter).toBeLessThan(0.1);
  });

  const sameForAll = steps(lengths).map(({ id }) => id);
  it.each(judgedContenders.flatMap((id) => sameForAll.map((name) => [id, name] as const)))(
    '%s does not collapse at %s, and is back at once',
    (id, name) => {
      const { goodput, servedAfter, riseMs, refusedBefore } = figures(scenario(name), contender(id), 1);
      // 3 s of the step, in which a place that falls free may wait for an arrival; of handlers that wait for 0.1 s, what
      // was let in last is done after the phase, and what was let in before it was little.
      expect(goodput).toBeGreaterThan(name.endsWith('waiting') ? 0.88 : 0.95);
      expect(goodput).toBeLessThan(1.02);
      expect(riseMs).toBeLessThan(1000);
      expect(servedAfter).toBeGreaterThan(0.97);
      expect(refusedBefore).toBeLessThan(0.01);
    },
  );

  const asynchronous = sameForAll.filter((id) => id.endsWith('-async'));
  it.each(['gradient', 'vegas'].flatMap((id) => asynchronous.map((name) => [id, name] as const)))(
    '%s keeps near the limit at %s, as long as handlers await',
    (id, name) => {
      const { goodput, servedAfter, p99Ms } = figures(scenario(name), contender(id), 1);
      expect(goodput).toBeGreaterThan(0.97);
      expect(servedAfter).toBeGreaterThan(0.99);
      // 30 of high priority may be in flight, 3.04 ms each, before a call is read and once more after its await, and as
      // much again is read and refused meanwhile: late, but not too late.
      expect(p99Ms).toBeLessThan(500);
    },
  );

  it('never says that more was done than the thread can', () => {
    // A call that is answered takes its reading and its handler; nothing of that is free.
    const calm = {
      ...bound('sync'),
      id: 'x',
      name: 'x',
      phases: [{ load: 20, ms: 3000 }],
      judged: 0,
      limit: () => 1,
    };
    for (const each of contenders) expect(figures(calm, each, 1).goodput).toBeLessThanOrEqual(1.01);
    expect(physicalLimit(20, { serveMs: 3, ...costs })).toBeLessThan(0.6);
  });
});
