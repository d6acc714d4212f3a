import { manualClock } from 'keelson/testing';
import { afterEach, describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { EndFlush } from '../../../src/otel/exit-flush.js';

const made: EndFlush[] = [];
afterEach(() => {
  for (const end of made.splice(0)) end.remove();
});

const atOnce = (): Promise<void> => Promise.resolve();
const never = (): Promise<void> => new Promise(() => undefined);

function watched(flush: () => Promise<void> = atOnce) {
  const clock = manualClock();
  const state = { recorded: 0, open: 0, letGo: 0, flushes: [] as number[] };
  const recorded = {
    count: () => state.recorded,
    endOpen: () => {
      state.recorded += state.open;
      state.open = 0;
    },
    flush: (timeoutMs: number) => {
      state.flushes.push(timeoutMs);
      return flush();
    },
    letGo: () => void state.letGo++,
  };
  const end = new EndFlush(recorded, { timeoutMs: 1_000, clock });
  made.push(end);
  return { clock, state, end };
}

/** As Node does it, once nothing is left to do. */
async function idle(): Promise<void> {
  process.emit('beforeExit', 0);
  for (let turns = 0; turns < 10; turns++) await Promise.resolve();
}

describe('before a process ends by itself', () => {
  it('what was recorded leaves, once', async () => {
    const { state } = watched();
    for (let times = 0; times < 3; times++) await idle();
    expect(state).toMatchObject({ flushes: [1_000], letGo: 0 });
  });

  it('and again, if there is more since', async () => {
    const { state, clock } = watched();
    await idle();
    state.recorded++;
    await clock.advance(5_000);
    await idle();
    await idle();
    expect(state.flushes).toEqual([1_000, 1_000]);
  });

  it('what is open is ended when nothing new has come, and leaves', async () => {
    const { state } = watched();
    state.open = 2;
    await idle();
    expect(state).toMatchObject({ open: 2, flushes: [1_000] });
    await idle();
    expect(state).toMatchObject({ open: 0, flushes: [1_000, 1_000] });
    await idle();
    expect(state.flushes).toHaveLength(2);
  });

  it('all of it takes no longer than it may, and then nothing is held', async () => {
    const { state, clock } = watched(never);
    state.open = 1;
    await idle();
    await clock.advance(1_000);
    expect(state.letGo).toBe(1);
    for (let times = 0; times < 3; times++) await idle();
    expect(state).toMatchObject({ flushes: [1_000], open: 1 });
  });

  it('what one flush leaves is what the next may take', async () => {
    let over: () => void = () => undefined;
    const { state, clock } = watched(() => new Promise((resolve) => (over = resolve)));
    await idle();
    await clock.advance(400);
    over();
    await clock.advance(0);
    state.recorded++;
    await idle();
    expect(state.flushes).toEqual([1_000, 600]);
  });

  it('time that somebody else has just waited for in vain is not taken again; what comes later has its own', async () => {
    const { state, clock, end } = watched(never);
    const flushed = end.flush();
    await clock.advance(1_000);
    await flushed;
    await idle();
    expect(state).toMatchObject({ flushes: [1_000], letGo: 1 });
    await clock.advance(200);
    await idle();
    expect(state.flushes).toEqual([1_000, 1_000]);
  });

  it('it is kept until that is done, however it ends', async () => {
    for (const end of ['resolve', 'reject'] as const) {
      let over: () => void = () => undefined;
      const { clock } = watched(
        () =>
          new Promise((resolve, reject) => {
            over = () => (end === 'resolve' ? resolve() : reject(new Error('no')));
          }),
      );
      await idle();
      expect(clock.pending).toBe(1);
      over();
      await clock.advance(0);
      expect(clock.pending).toBe(0);
      for (const one of made.splice(0)) one.remove();
    }
  });

  it('a flush that records something itself does not hold it for ever', async () => {
    const { state, clock } = watched(() => {
      state.recorded++;
      return atOnce();
    });
    for (let times = 0; times < 200; times++) await idle();
    expect(state.flushes).toHaveLength(100);
    await clock.advance(1_000);
    await idle();
    expect(state.flushes).toHaveLength(101);
  });

  it('nothing, once it was taken away', async () => {
    const before = process.listenerCount('beforeExit');
    const { state, end } = watched();
    expect(process.listenerCount('beforeExit')).toBe(before + 1);
    end.remove();
    expect(process.listenerCount('beforeExit')).toBe(before);
    await idle();
    expect(state.flushes).toEqual([]);
  });
});
