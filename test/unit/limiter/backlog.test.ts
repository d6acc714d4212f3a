import { type Gate, isEarlyRefuser } from 'keelson/core';
import { type BacklogHost, type BacklogMeterOptions, backlogMeter } from 'keelson/limiter/load';
import { describe, expect, it } from 'vitest';

/** A thread made of numbers: its loop sleeps, finds events and works. */
class Thread implements BacklogHost {
  at = 1000;
  slept: number | undefined = 500;
  counted: { events: number; eventsWaiting: number } | undefined = { events: 7, eventsWaiting: 3 };
  private readonly runs: (() => void)[] = [];

  now() {
    return this.at;
  }
  idleMs() {
    return this.slept;
  }
  events() {
    return this.counted && { ...this.counted };
  }
  onTurnEnd(run: () => void) {
    this.runs.push(run);
  }
  /** How many wait for the end of the turn. */
  get chained() {
    return this.runs.length;
  }
  work(ms: number) {
    this.at += ms;
  }
  sleep(ms: number) {
    this.at += ms;
    if (this.slept !== undefined) this.slept += ms;
  }
  /** The poll gave so many events, of which so many had been ready; libuv counts them when they are worked off. */
  endTurn(events = 0, waiting = 0) {
    if (this.counted) {
      this.counted.events += events;
      this.counted.eventsWaiting += waiting;
    }
    for (const run of this.runs.splice(0)) run();
  }
}

function made(options: Omit<BacklogMeterOptions, 'host'> = {}, thread = new Thread()) {
  const meter = backlogMeter({ ...options, host: thread });
  meter.start();
  /** A call with a synchronous handler. */
  const call = (ms: number) => {
    meter.enter(thread.at);
    thread.work(ms);
    meter.leave(thread.at, 'success');
  };
  /** A turn of such calls, all of which had been ready unless the loop slept before. */
  const turn = (calls: number, { ms = 3, sleptMs = 0 } = {}) => {
    if (sleptMs > 0) thread.sleep(sleptMs);
    for (let i = 0; i < calls; i++) call(ms);
    thread.endTurn(calls, sleptMs > 0 ? 0 : calls);
  };
  return { meter, thread, call, turn };
}

/** Calls of 3 ms at a load of about one half, which never meet. */
function settled(...given: Parameters<typeof made>) {
  const made_ = made(...given);
  for (let i = 0; i < 100; i++) made_.turn(1, { sleptMs: 3 });
  return made_;
}

describe('what one call costs', () => {
  it('is the time at work over the calls, sleep left out', () => {
    const { meter } = settled();
    expect(meter.serviceMs).toBeCloseTo(3);
  });

  it('is not known before one is over', () => {
    const { meter, thread } = made();
    expect(meter.serviceMs).toBeUndefined();
    meter.enter(thread.at);
    thread.work(3);
    thread.endTurn(1);
    expect(meter.serviceMs).toBeUndefined();
    meter.leave(thread.at, 'success');
    thread.endTurn(1);
    // What was done a turn before weighs a little less.
    expect(meter.serviceMs).toBeCloseTo(3, 1);
  });

  it('counts what a handler does after it has waited for somebody else', () => {
    const { meter, thread } = made();
    for (let i = 0; i < 100; i++) {
      meter.enter(thread.at);
      thread.work(1);
      thread.endTurn(1);
      thread.sleep(20);
      thread.work(2);
      meter.leave(thread.at, 'success');
      thread.endTurn(1);
    }
    expect(meter.serviceMs).toBeCloseTo(3, 1);
  });

  it('takes no pause of 120 ms for its own, and forgets it within 64 calls', () => {
    const { meter, turn, call, thread } = settled();
    call(3);
    thread.work(120);
    thread.endTurn(1, 0);
    // Ten times the average is believed of it. After 100 calls as many weigh as 1 / (1 - exp(-1 / 64)) * (1 - exp(-101 / 64))
    // = 51: 3 + (30 - 3) / 51.
    expect(meter.serviceMs).toBeCloseTo(3.53, 2);
    for (let i = 0; i < 64; i++) turn(1, { sleptMs: 3 });
    expect(meter.serviceMs).toBeLessThan(3.2);
  });

  it('follows a cost that really rose', () => {
    const { meter, turn } = settled();
    for (let i = 0; i < 200; i++) turn(1, { ms: 60, sleptMs: 60 });
    expect(meter.serviceMs).toBeGreaterThan(55);
  });

  it('is right where one event of the loop brings many calls, as over HTTP/2', () => {
    const { meter, call, thread } = made();
    for (let i = 0; i < 50; i++) {
      thread.sleep(10);
      for (let stream = 0; stream < 20; stream++) call(2);
      thread.endTurn(1, 0);
    }
    expect(meter.serviceMs).toBeCloseTo(2);
  });
});

describe('how long a call would wait', () => {
  it('is nothing while not started, and after stop', () => {
    const thread = new Thread();
    const meter = backlogMeter({ host: thread });
    meter.enter(thread.at);
    thread.work(50);
    expect(meter.backlogMs).toBe(0);
    expect(thread.chained).toBe(0);
    const { meter: other, thread: its, turn } = settled();
    turn(10);
    other.stop();
    its.endTurn();
    expect(other.backlogMs).toBe(0);
  });

  it.each([1, 4, 10, 40])(
    'is about that of %i waiting calls, turn after turn, and one that works',
    (count) => {
      const { meter, turn, call, thread } = settled();
      for (let i = 0; i < 40; i++) turn(count);
      // The turn that begins has as many to work off as the one before: 3 ms each.
      call(3);
      const waiting = meter.backlogMs;
      expect(waiting).toBeGreaterThan(0.8 * 3 * (count - 1));
      expect(waiting).toBeLessThan(1.2 * 3 * (count + 1));
      thread.endTurn(count, count);
    },
  );

  it('becomes less while a turn works off what the poll found', () => {
    const { meter, turn, call } = settled();
    // Many came once, after a time in which few did: what comes in now is less than what is worked off.
    turn(1, { sleptMs: 100 });
    for (let i = 0; i < 60; i++) turn(1, { sleptMs: 3 });
    turn(40);
    const told: number[] = [];
    for (let i = 0; i < 4; i++) {
      told.push(meter.backlogMs);
      call(3);
    }
    expect(told).toEqual([...told].sort((a, b) => b - a));
  });

  it('is nothing of what was when the loop has slept since', () => {
    const { meter, turn, thread } = settled();
    for (let i = 0; i < 40; i++) turn(10);
    thread.sleep(5);
    expect(meter.backlogMs).toBe(0);
  });

  it('does not take a callback of 120 ms for forty calls', () => {
    const { meter, thread, turn } = settled();
    turn(1, { sleptMs: 3 });
    thread.work(120);
    thread.endTurn(1, 0);
    // Nothing had been found waiting so far, so nothing is thought to have come in.
    expect(meter.backlogMs).toBeLessThan(3);
  });

  it('takes a pause for the work that came in meanwhile', () => {
    const { meter, thread, turn } = made();
    // Half of the time is for calls that come while others are at work: of 6 ms at work they find 3.
    for (let i = 0; i < 200; i++) {
      turn(2, { sleptMs: 6 });
      turn(1);
    }
    thread.work(120);
    thread.endTurn(1, 0);
    // Per 9 ms at work 3 were found: a third of 120, give or take what is not known yet.
    expect(meter.backlogMs).toBeGreaterThan(25);
    expect(meter.backlogMs).toBeLessThan(50);
  });

  it('sees a burst while it begins', () => {
    const { meter, call } = settled();
    const told: number[] = [];
    for (let i = 0; i < 20; i++) {
      call(3);
      told.push(meter.backlogMs);
    }
    expect(told[0]).toBeLessThan(3);
    // Of 20 that began one after the other half as many more are expected: 0.5 * 19 * 3.
    expect(told.at(-1)).toBeGreaterThan(25);
    expect(told.at(-1)).toBeLessThan(35);
  });

  it('is the higher of the loop and a queue of the server', () => {
    let queuedMs: unknown = 0;
    const { meter, turn } = settled({ queued: () => queuedMs as number });
    queuedMs = 55;
    expect(meter.backlogMs).toBe(55);
    for (const nonsense of [Number.NaN, -5, undefined]) {
      queuedMs = nonsense;
      expect(meter.backlogMs).toBeLessThan(3);
    }
    for (let i = 0; i < 40; i++) turn(40);
    queuedMs = 1;
    expect(meter.backlogMs).toBeGreaterThan(50);
    const failing = made({
      queued: () => {
        throw new Error('no');
      },
    });
    expect(failing.meter.backlogMs).toBe(0);
  });
});

describe('what can go wrong', () => {
  it.each(['back', 'nowhere', 'far ahead'])('a clock that goes %s', (where) => {
    const { meter, thread, turn } = settled();
    thread.at += { back: -1e6, nowhere: Number.NaN, 'far ahead': 1e12 }[where] as number;
    expect(meter.backlogMs).toBeGreaterThanOrEqual(0);
    expect(meter.backlogMs).toBeLessThanOrEqual(600_000);
    thread.endTurn(1, 1);
    if (Number.isNaN(thread.at)) thread.at = 5000;
    for (let i = 0; i < 200; i++) turn(1, { sleptMs: 3 });
    expect(meter.serviceMs).toBeCloseTo(3, 0);
    expect(meter.backlogMs).toBeLessThan(3);
  });

  it('totals that begin anew', () => {
    const { meter, thread, turn } = settled();
    thread.counted = { events: 0, eventsWaiting: 0 };
    thread.slept = 0;
    for (let i = 0; i < 100; i++) turn(1, { sleptMs: 3 });
    expect(meter.serviceMs).toBeGreaterThan(2.5);
    expect(meter.serviceMs).toBeLessThan(4);
  });

  it('a host that throws', () => {
    const thread = new Thread();
    const fail = () => {
      throw new Error('no');
    };
    const { meter, turn } = made({}, Object.assign(thread, { idleMs: fail, events: fail }));
    for (let i = 0; i < 100; i++) turn(1);
    expect(meter.serviceMs).toBeCloseTo(3);
  });

  it('a platform that counts no events: the calls of a turn stand in for them', () => {
    const thread = new Thread();
    thread.counted = undefined;
    const { meter, turn, call } = settled({}, thread);
    expect(meter.serviceMs).toBeCloseTo(3);
    for (let i = 0; i < 40; i++) turn(20);
    call(3);
    expect(meter.backlogMs).toBeGreaterThan(40);
    expect(meter.backlogMs).toBeLessThan(70);
  });

  it('one that knows no sleep either: a turn lasts from its first call on', () => {
    const thread = new Thread();
    thread.counted = undefined;
    thread.slept = undefined;
    const { meter } = settled({}, thread);
    expect(meter.serviceMs).toBeCloseTo(3);
    expect(meter.backlogMs).toBe(0);
  });
});

describe('it lets the process be', () => {
  it('looks once a turn while calls are in flight, one turn longer, and then not at all', () => {
    const { meter, thread } = made();
    expect(thread.chained).toBe(0);
    meter.enter(thread.at);
    meter.enter(thread.at);
    expect(thread.chained).toBe(1);
    for (let i = 0; i < 5; i++) {
      thread.endTurn();
      expect(thread.chained).toBe(1);
    }
    meter.leave(thread.at, 'success');
    meter.leave(thread.at, 'success');
    thread.endTurn();
    expect(thread.chained).toBe(1);
    thread.sleep(10);
    thread.endTurn();
    expect(thread.chained).toBe(0);
    meter.enter(thread.at);
    expect(thread.chained).toBe(1);
  });

  it('looks on while the loop has no time to sleep, for calls may wait for whatever keeps it', () => {
    const { thread, turn } = settled();
    turn(1);
    for (let i = 0; i < 3; i++) {
      thread.work(50);
      thread.endTurn(1);
      expect(thread.chained).toBe(1);
    }
  });

  it('takes no part in what happened while it did not look', () => {
    const { meter, thread, turn } = settled();
    thread.sleep(100);
    thread.endTurn();
    expect(thread.chained).toBe(0);
    thread.work(5000);
    turn(1, { sleptMs: 1 });
    expect(meter.serviceMs).toBeCloseTo(3);
    expect(meter.backlogMs).toBeLessThan(3);
  });

  it('stops only what it started', () => {
    const thread = new Thread();
    const meter = backlogMeter({ host: thread });
    const stop = meter.start();
    meter.stop();
    meter.start();
    stop();
    meter.enter(thread.at);
    expect(thread.chained).toBe(1);
  });
});

describe('calls', () => {
  it('are in flight from the gate to their release, once', () => {
    const { meter } = made();
    const permits = [1, 2, 3].map((now) => meter.gate.tryAcquire(now));
    expect(meter.inflight).toBe(3);
    for (const permit of permits) permit?.observe('success', 5);
    expect(meter.inflight).toBe(3);
    for (const permit of [...permits, ...permits]) permit?.release('success', 6);
    expect(meter.inflight).toBe(0);
    meter.leave(7, 'success');
    expect(meter.inflight).toBe(0);
  });

  it('leave no trace when they were refused after all', () => {
    const { meter } = made();
    meter.gate.tryAcquire(1000)?.release('unsent', 1000);
    expect(meter.snapshot(1000)).toMatchObject({ inflight: 0, perSecond: 0, errorsPerSecond: 0 });
  });

  it('are told per second, as soon as there is a quarter of the window', () => {
    const { meter } = made({ windowMs: 2000 });
    const ended = (ms: number, outcome: 'success' | 'failure') => {
      meter.enter(10_000 + ms);
      meter.leave(10_000 + ms, outcome);
    };
    expect(meter.snapshot(10_000).perSecond).toBe(0);
    for (let ms = 0; ms < 500; ms += 10) ended(ms, ms % 50 === 0 ? 'failure' : 'success');
    // 50 in half a second, of which 10 failed.
    expect(meter.snapshot(10_500)).toMatchObject({ perSecond: 100, errorsPerSecond: 20 });
    for (let ms = 500; ms < 4000; ms += 10) ended(ms, 'success');
    // The newest of 20 parts of the window is not whole.
    expect(meter.snapshot(14_000).perSecond).toBeGreaterThanOrEqual(95);
    expect(meter.snapshot(14_000).perSecond).toBeLessThanOrEqual(100);
    expect(meter.snapshot(14_000).errorsPerSecond).toBe(0);
    expect(meter.snapshot(20_000).perSecond).toBe(0);
  });
});

describe('the share that is let in', () => {
  const refusing = (code: Gate['code'], refuses: () => boolean): Gate => ({
    code,
    tryAcquire: () => (refuses() ? null : { observe: () => undefined, release: () => undefined }),
    retryAfterMs: () => 7,
  });

  it.each([
    ['OVERLOADED', 0, 0.75],
    ['OVERLOADED', -3, 0.75],
    ['OVERLOADED', 1, undefined],
    ['RATE_LIMITED', 0, undefined],
  ] as const)(
    'by a gate that refuses every fourth call as %s, of priority %i: %s',
    (code, priority, share) => {
      const { meter } = made();
      let calls = 0;
      const gate = meter.watch(refusing(code, () => ++calls % 4 === 0));
      for (let i = 0; i < 400; i++) {
        const visit = meter.gate.tryAcquire(1000 + i, { priority });
        const permit = gate.tryAcquire(1000 + i, { priority });
        visit?.release(permit === null ? 'unsent' : 'success', 1000 + i);
      }
      expect(meter.snapshot(1400).admitRatio).toEqual(share);
      expect(meter.snapshot(9000).admitRatio).toBeUndefined();
    },
  );

  it('is asked of a gate that is as it was', () => {
    const { meter } = made();
    let disposed = false;
    const inner = {
      ...refusing('OVERLOADED', () => true),
      dispose: () => {
        disposed = true;
      },
    };
    const gate = meter.watch(inner);
    expect(gate.code).toBe('OVERLOADED');
    expect(gate.retryAfterMs?.(0)).toBe(7);
    gate.dispose?.();
    expect(disposed).toBe(true);
    expect(meter.watch({ code: 'OVERLOADED', tryAcquire: () => null }).retryAfterMs).toBeUndefined();
  });

  it('counts what is refused before there is a call', () => {
    const { meter } = made();
    const inner = {
      ...refusing('OVERLOADED', () => false),
      refusing: true,
      refuseEarly: (now: number) => now % 2 === 0,
    };
    const gate = meter.watch(inner);
    expect(isEarlyRefuser(gate)).toBe(true);
    for (let now = 1000; now < 1100; now++) {
      meter.enter(now);
      meter.leave(now, (gate as typeof inner).refuseEarly(now) ? 'unsent' : 'success');
    }
    expect(meter.snapshot(1100).admitRatio).toBe(0.5);
    expect((gate as typeof inner).refusing).toBe(true);
    expect(isEarlyRefuser(meter.watch(refusing('OVERLOADED', () => true)))).toBe(false);
  });

  it('is never below nothing', () => {
    const { meter } = made();
    meter.enter(0);
    for (let i = 0; i < 5; i++) meter.refused(3000);
    expect(meter.snapshot(3000).admitRatio).toBe(0);
  });
});

describe('options', () => {
  it.each([
    [{ windowMs: 0 }, 'backlogMeter.windowMs must be a number > 0, got 0'],
    [{ queued: 5 }, 'backlogMeter.queued must be a function, got 5'],
    [{ window: 5 }, 'backlogMeter.window is not an option'],
  ])('%j', (options, message) => {
    expect(() => backlogMeter(options as never)).toThrow(message);
  });
});
