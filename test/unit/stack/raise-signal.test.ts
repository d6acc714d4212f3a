import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { atExit } from '../../../src/otel/at-exit.js';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { exitCodeOf, listenersOf, raiseSignal } from '../../../src/stack/raise-signal.js';

const nothing = (): void => undefined;
const genuinePid = process.pid;
const third = process as { __signal_exit_emitter__?: unknown };
const fourth = globalThis as { [name: symbol]: unknown };
const slot = Symbol.for('signal-exit emitter');

const kill = vi.spyOn(process, 'kill');
const exit = vi.spyOn(process, 'exit');
beforeEach(() => {
  kill.mockReset().mockReturnValue(true);
  exit.mockReset().mockImplementation((code) => {
    throw new Error(`exit ${code}`);
  });
});
afterEach(() => {
  Object.defineProperty(process, 'pid', { value: genuinePid, configurable: true });
  process.removeAllListeners('SIGTERM');
  delete third.__signal_exit_emitter__;
  delete fourth[slot];
});

describe('what is to be done at the last moment', () => {
  it('is done before the signal ends the process, whatever one of it throws', () => {
    const done: string[] = [];
    const leave = [
      atExit(() => {
        throw new Error('no');
      }),
      atExit(() => void done.push(`before ${kill.mock.calls.length}`)),
    ];
    raiseSignal('SIGTERM');
    expect(done).toEqual(['before 0']);
    for (const one of leave) one();
    raiseSignal('SIGTERM');
    expect(done).toHaveLength(1);
  });

  it('and not where somebody hears it, who may go on', () => {
    const last = vi.fn();
    const leave = atExit(last);
    process.on('SIGTERM', nothing);
    raiseSignal('SIGTERM');
    expect(last).not.toHaveBeenCalled();
    leave();
  });

  it('takes one listener of the process, and none when there is nothing', () => {
    const before = process.listenerCount('exit');
    const leave = [atExit(nothing), atExit(nothing)];
    expect(process.listenerCount('exit')).toBe(before + 1);
    for (const one of [...leave, ...leave]) one();
    expect(process.listenerCount('exit')).toBe(before);
  });
});

describe('a signal is raised again', () => {
  it('and ends the process as it would have', () => {
    raiseSignal('SIGTERM');
    expect(kill.mock.calls).toEqual([[genuinePid, 'SIGTERM']]);
  });

  it.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)('as the first process of a container, which %s would not end: by its code', (signal, code) => {
    Object.defineProperty(process, 'pid', { value: 1, configurable: true });
    expect(() => raiseSignal(signal)).toThrow(`exit ${code}`);
    expect(kill).not.toHaveBeenCalled();
    expect(exitCodeOf(signal)).toBe(code);
  });

  it('and there is left to whoever handles it', () => {
    Object.defineProperty(process, 'pid', { value: 1, configurable: true });
    process.on('SIGTERM', nothing);
    raiseSignal('SIGTERM');
    expect(exit).not.toHaveBeenCalled();
    expect(kill.mock.calls).toEqual([[1, 'SIGTERM']]);
  });
});

describe('who only cleans up is nobody who handles it', () => {
  it.each([
    ['nobody', undefined, undefined, 2],
    ['version 3', { count: 1 }, undefined, 1],
    ['version 4', undefined, { count: 1 }, 1],
    ['both', { count: 1 }, { count: 1 }, 0],
    ['more than listen', { count: 3 }, { count: 3 }, 0],
    ['something else of that name', { count: 'x' }, 7, 2],
  ])('%s', (_, old, recent, left) => {
    process.on('SIGTERM', nothing).on('SIGTERM', nothing);
    third.__signal_exit_emitter__ = old;
    fourth[slot] = recent;
    expect(listenersOf('SIGTERM')).toBe(left);
  });
});
