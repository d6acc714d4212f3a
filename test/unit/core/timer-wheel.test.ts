import { type Clock, createCall, currentCall, runWithCall, systemClock } from 'keelson/core';
import { type ManualClock, manualClock, seededRandom } from 'keelson/testing';
import { describe, expect, it, vi } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { type Wheel, WheelEntry, wheelOf } from '../../../src/core/timer-wheel.js';

const tick = 4;

class Entry extends WheelEntry {
  readonly firedAt: number[] = [];
  constructor(
    private readonly clock: Clock,
    at: number,
    private readonly run?: () => void,
  ) {
    super(at);
  }
  fire(): void {
    this.firedAt.push(this.clock.now());
    this.run?.();
  }
}

function setUp(start = 0) {
  const clock = manualClock(start);
  const wheel = wheelOf(clock);
  const wait = (at: number, run?: () => void) => {
    const entry = new Entry(clock, at, run);
    wheel.add(entry);
    return entry;
  };
  return { clock, wheel, wait };
}

/** Moves in small steps, as a live process does. */
function pass(clock: ManualClock, ms: number, step = 1): void {
  for (let passed = 0; passed < ms; passed += step) clock.advanceSync(step);
}

describe('the wheel', () => {
  it('is one for a clock', () => {
    const clock = manualClock();
    expect(wheelOf(clock)).toBe(wheelOf(clock));
    expect(wheelOf(manualClock())).not.toBe(wheelOf(clock));
  });

  it.each([0, 1, 3.9, 4, 4.1, 100, 2047, 2048, 2049, 5000, 20_000.5])(
    'fires at %d ms once, never before, at most one tick late',
    (at) => {
      for (const start of [0, 1.5, 1e6, -5000]) {
        const { clock, wheel, wait } = setUp(start);
        const entry = wait(start + at);
        pass(clock, at + 3 * tick);
        expect(entry.firedAt).toHaveLength(1);
        const fired = entry.firedAt[0] as number;
        expect(fired).toBeGreaterThanOrEqual(start + at);
        expect(fired).toBeLessThanOrEqual(start + at + tick);
        expect(wheel.waiting).toBe(0);
      }
    },
  );

  it.each([-1e9, -1, Number.NEGATIVE_INFINITY])('fires soon what is overdue by %d', (at) => {
    const { clock, wait } = setUp();
    const entry = wait(at);
    expect(entry.firedAt).toEqual([]);
    clock.advanceSync(2 * tick);
    expect(entry.firedAt).toHaveLength(1);
  });

  it.each([Number.POSITIVE_INFINITY, Number.NaN])('does not keep what waits for %d', (at) => {
    const { clock, wheel, wait } = setUp();
    const entry = wait(at);
    expect([wheel.waiting, clock.pending]).toEqual([0, 0]);
    expect(() => entry.cancel()).not.toThrow();
  });

  it('fires everything in time however it is mixed, cancelled and paused', () => {
    const random = seededRandom(4);
    const { clock, wheel, wait } = setUp();
    const live: { entry: Entry; cancelled: boolean }[] = [];
    let longestStep = 0;
    for (let i = 0; i < 3000; i++) {
      const at = clock.now() + random() * (random() < 0.1 ? 8000 : 300);
      const one = { entry: wait(at), cancelled: false };
      live.push(one);
      if (random() < 0.3) {
        const victim = live[Math.floor(random() * live.length)] as typeof one;
        if (victim.entry.firedAt.length === 0) victim.cancelled = true;
        victim.entry.cancel();
      }
      const step = random() < 0.01 ? 3000 : random() * 10;
      longestStep = Math.max(longestStep, step);
      clock.advanceSync(step);
      expect(wheel.waiting).toBe(
        live.filter(({ entry, cancelled }) => !cancelled && entry.firedAt.length === 0).length,
      );
    }
    clock.advanceSync(10_000);
    for (const { entry, cancelled } of live) {
      expect(entry.firedAt).toHaveLength(cancelled ? 0 : 1);
      if (cancelled) continue;
      // The manual clock runs timers in order of time, so even a long step makes nothing late.
      expect(entry.firedAt[0]).toBeGreaterThanOrEqual(entry.at);
      expect(entry.firedAt[0]).toBeLessThanOrEqual(entry.at + 2 * tick);
    }
    expect(wheel.waiting).toBe(0);
  });

  it('leaves no timer behind when nobody waits', () => {
    const { clock, wait } = setUp();
    const entries = [5, 50, 5000].map((at) => wait(at));
    expect(clock.pending).toBe(1);
    for (const entry of entries) entry.cancel();
    clock.advanceSync(10_000);
    expect(clock.pending).toBe(0);
  });

  it('uses one timer for any number of entries', () => {
    const { clock, wait } = setUp();
    for (let i = 0; i < 1000; i++) wait(1 + ((i * 37) % 9000));
    expect(clock.pending).toBe(1);
    clock.advanceSync(20);
    expect(clock.pending).toBe(1);
  });

  it('wakes earlier for an entry that is due earlier', () => {
    const { clock, wait } = setUp();
    wait(5000);
    const early = wait(20);
    clock.advanceSync(30);
    expect(early.firedAt).toHaveLength(1);
  });

  it('starts from now after it was idle', () => {
    const { clock, wait } = setUp();
    wait(10);
    clock.advanceSync(1e9);
    const entry = wait(1e9 + 10);
    clock.advanceSync(10 + 2 * tick);
    expect(entry.firedAt).toHaveLength(1);
  });

  it('may be added to and taken from by what it fires', () => {
    const { clock, wheel, wait } = setUp();
    let again: Entry | undefined;
    let victim: Entry | undefined;
    const killer = wait(10, () => victim?.cancel());
    victim = wait(10);
    const other = wait(10, () => killer.cancel());
    const adder = wait(10, () => {
      again = wait(clock.now());
    });
    clock.advanceSync(100);
    // Whichever of the two came first: the one that was cancelled in time did not fire.
    expect(other.firedAt).toHaveLength(1);
    expect(killer.firedAt.length + victim.firedAt.length).toBeLessThanOrEqual(2);
    expect(adder.firedAt).toHaveLength(1);
    expect(again?.firedAt).toHaveLength(1);
    expect(wheel.waiting).toBe(0);
  });

  it('keeps nobody waiting for what it is given while it fires', () => {
    const { clock, wait } = setUp();
    wait(100, () => wait(60_000));
    const others = [120, 200, 1900, 3000].map((at) => wait(at));
    pass(clock, 3000 + 3 * tick);
    for (const { at, firedAt } of others) {
      expect(firedAt).toHaveLength(1);
      expect(firedAt[0]).toBeLessThanOrEqual(at + 2 * tick);
    }
  });

  it('does not fire what another of the same moment has cancelled', () => {
    const { clock, wait } = setUp();
    const pair: Entry[] = [];
    for (const me of [0, 1]) pair.push(wait(10, () => pair[1 - me]?.cancel()));
    clock.advanceSync(100);
    expect(pair.flatMap(({ firedAt }) => firedAt)).toHaveLength(1);
  });

  it('goes on when what it fires throws', () => {
    const { clock, wheel, wait } = setUp();
    const bad = () => {
      throw new Error('fire');
    };
    const entries = [wait(10, bad), wait(10), wait(10, bad), wait(500)];
    expect(() => clock.advanceSync(1000)).not.toThrow();
    expect(entries.map(({ firedAt }) => firedAt.length)).toEqual([1, 1, 1, 1]);
    expect([wheel.waiting, clock.pending]).toEqual([0, 0]);
  });

  it('keeps an entry once, however often it is added', () => {
    const { clock, wheel, wait } = setUp();
    const before = wait(10);
    const entry = wait(10);
    wait(10);
    wheel.add(entry);
    wheel.add(entry);
    expect(wheel.waiting).toBe(3);
    clock.advanceSync(50);
    expect([before.firedAt.length, entry.firedAt.length, wheel.waiting]).toEqual([1, 1, 0]);
  });

  it('can take an entry again after it fired or was cancelled', () => {
    const { clock, wheel, wait } = setUp();
    const entry = wait(10);
    entry.cancel();
    entry.cancel();
    wheel.add(entry);
    clock.advanceSync(50);
    wheel.add(entry);
    clock.advanceSync(50);
    expect(entry.firedAt).toHaveLength(2);
  });

  it('does not take out of itself what waits in another', () => {
    const { wheel, wait } = setUp();
    const other = setUp().wheel;
    const entry = wait(10);
    other.remove(entry);
    other.add(entry);
    expect([wheel.waiting, other.waiting]).toEqual([1, 0]);
  });
});

describe('the wheel of a clock that jumps', () => {
  function jumpy() {
    const inner = manualClock(1e6);
    let offset = 0;
    const clock: Clock = {
      now: () => inner.now() + offset,
      wallMs: () => inner.wallMs(),
      after: (ms, run) => inner.after(ms, run),
    };
    const wheel: Wheel = wheelOf(clock);
    return { inner, clock, wheel, jump: (ms: number) => (offset += ms) };
  }

  it.each([100, 1000, 2048, 5000, 1e7])(
    'fires all that fell due while the process was blocked for %d ms',
    (ms) => {
      const { inner, clock, wheel, jump } = jumpy();
      const entries = Array.from({ length: 600 }, (_, i) => new Entry(clock, clock.now() + i * tick));
      for (const entry of entries) wheel.add(entry);
      inner.advanceSync(10);
      jump(ms);
      inner.advanceSync(2 * tick);
      const now = clock.now();
      for (const { at, firedAt } of entries) {
        if (at <= now - 2 * tick) expect(firedAt).toHaveLength(1);
        if (at > now) expect(firedAt).toHaveLength(0);
      }
    },
  );

  it('keeps sight of what fell due while it was blocked, though more is added before its timer runs', () => {
    const { inner, clock, wheel, jump } = jumpy();
    const entries = [20, 60, 99].map((ms) => new Entry(clock, clock.now() + ms));
    for (const entry of entries) wheel.add(entry);
    jump(100);
    wheel.add(new Entry(clock, clock.now() + 500));
    inner.advanceSync(20 + 2 * tick);
    expect(entries.map(({ firedAt }) => firedAt.length)).toEqual([1, 1, 1]);
  });

  it('fires in time what is added after a step back', () => {
    const { inner, clock, wheel, jump } = jumpy();
    wheel.add(new Entry(clock, clock.now() + 20));
    inner.advanceSync(8);
    jump(-500_000);
    const entry = new Entry(clock, clock.now() + 100);
    wheel.add(entry);
    inner.advanceSync(100 + 2048 + 2 * tick);
    expect(entry.firedAt).toHaveLength(1);
  });

  it('fires what was added before when its time has come on the new scale', () => {
    const { inner, clock, wheel, jump } = jumpy();
    const entry = new Entry(clock, clock.now() + 20);
    wheel.add(entry);
    jump(-1000);
    inner.advanceSync(1000);
    expect(entry.firedAt).toEqual([]);
    inner.advanceSync(20 + 2048 + 2 * tick);
    expect(entry.firedAt).toHaveLength(1);
  });
});

describe('the wheel of a platform whose timers are faked for a while', () => {
  it('goes on with the real ones when those are back', async () => {
    vi.useFakeTimers();
    const lost = new Entry(systemClock, systemClock.now() + 10_000);
    wheelOf(systemClock).add(lost);
    vi.useRealTimers();
    lost.cancel();
    // Any scale but that of the fake timers, which begins at 0.
    await vi.waitFor(() => expect(performance.now()).toBeGreaterThan(300));
    await new Promise<void>((resolve) => {
      wheelOf(systemClock).add(new Entry(systemClock, systemClock.now() + 30, resolve));
    });
    expect(wheelOf(systemClock).waiting).toBe(0);
  });

  it('goes by the fake ones though a real one has been set', () => {
    const entry = new Entry(systemClock, systemClock.now() + 10_000);
    wheelOf(systemClock).add(entry);
    vi.useFakeTimers();
    const faked = new Entry(systemClock, systemClock.now() + 60_000);
    wheelOf(systemClock).add(faked);
    vi.advanceTimersByTime(60_000 + 2 * tick);
    vi.useRealTimers();
    entry.cancel();
    expect(faked.firedAt).toHaveLength(1);
  });
});

describe('what fires', () => {
  it('is part of no call, also when a call has set the timer', async () => {
    const wheel = wheelOf(systemClock);
    const callOf = (operation: string) => createCall({ side: 'server', service: 's', operation });
    const running = await new Promise<unknown[]>((resolve) => {
      const seen: unknown[] = [];
      const see = () => {
        if (seen.push(currentCall()) === 2) resolve(seen);
      };
      const now = systemClock.now();
      runWithCall(callOf('first'), () => wheel.add(new Entry(systemClock, now + 60, see)));
      runWithCall(callOf('second'), () => wheel.add(new Entry(systemClock, now + 30, see)));
    });
    expect(running).toEqual([undefined, undefined]);
  });
});

describe('holding the process', () => {
  it('while something waits, and hardly longer', () => {
    const inner = manualClock(0);
    const holding: boolean[] = [];
    const clock: Clock = {
      now: () => inner.now(),
      wallMs: () => inner.wallMs(),
      after: (ms, run) => ({
        ...inner.after(ms, run),
        hold: (holds) => {
          holding.push(holds);
        },
      }),
    };
    const wheel = wheelOf(clock);
    const entry = new Entry(clock, 10_000);
    wheel.add(entry);
    inner.advanceSync(5000);
    // Every timer it sets holds, and there is one at any time.
    expect(holding).toEqual(holding.map(() => true));
    expect(inner.pending).toBe(1);
    entry.cancel();
    inner.advanceSync(20);
    expect(inner.pending).toBe(0);
    // Taken up again.
    wheel.add(new Entry(clock, 7000));
    expect(inner.pending).toBe(1);
    inner.advanceSync(3000);
    expect([wheel.waiting, inner.pending]).toEqual([0, 0]);
  });
});
