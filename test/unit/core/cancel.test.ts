import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Cancellation, cancelledBy, cancelSource, uncancelled } from 'keelson/core';
import { describe, expect, it, vi } from 'vitest';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

describe('uncancelled', () => {
  it('never happens', () => {
    expect([uncancelled.aborted, uncancelled.reason]).toEqual([false, undefined]);
    const off = uncancelled.onAbort(() => {
      throw new Error('never');
    });
    off();
    off();
  });

  it('has a signal of its own for each reader, so that nobody gathers listeners on it', () => {
    expect(uncancelled.signal.aborted).toBe(false);
    expect(uncancelled.signal).not.toBe(uncancelled.signal);
  });
});

describe('cancelSource', () => {
  it('tells its listeners once, in order, with the reason at hand', () => {
    const source = cancelSource();
    const told: unknown[] = [];
    for (const name of ['a', 'b']) source.onAbort(() => told.push([name, source.aborted, source.reason]));
    source.abort('first');
    source.abort('second');
    expect(told).toEqual([
      ['a', true, 'first'],
      ['b', true, 'first'],
    ]);
    expect(source.reason).toBe('first');
  });

  it('tells a late listener at once', () => {
    const source = cancelSource();
    source.abort('over');
    let told = 0;
    const off = source.onAbort(() => told++);
    expect(told).toBe(1);
    off();
  });

  it('tells nobody who took it back', () => {
    const source = cancelSource();
    let told = 0;
    const off = source.onAbort(() => told++);
    off();
    off();
    source.abort('over');
    off();
    expect(told).toBe(0);
  });

  it('tells nobody who is taken back by one that is told before', () => {
    const source = cancelSource();
    const told: string[] = [];
    let offB = () => {};
    source.onAbort(() => {
      told.push('a');
      offB();
    });
    offB = source.onAbort(() => told.push('b'));
    source.onAbort(() => told.push('c'));
    source.abort('over');
    expect(told).toEqual(['a', 'c']);
  });

  it('takes the same function twice for two listeners', () => {
    const source = cancelSource();
    let told = 0;
    const listen = () => told++;
    const off = source.onAbort(listen);
    source.onAbort(listen);
    off();
    source.abort('over');
    expect(told).toBe(1);
  });

  it('tells the others when one throws', () => {
    const source = cancelSource();
    let told = 0;
    source.onAbort(() => {
      throw new Error('listener');
    });
    source.onAbort(() => told++);
    expect(() => source.abort('over')).not.toThrow();
    expect(told).toBe(1);
  });

  it('says the same as its signal, whenever that is first read', () => {
    const early = cancelSource();
    const { signal } = early;
    expect(signal.aborted).toBe(false);
    early.abort('why');
    const late = cancelSource();
    late.abort('why');
    for (const source of [early, late]) {
      expect(source.signal.aborted).toBe(true);
      expect(source.signal.reason).toBe('why');
      expect(source.signal).toBe(source.signal);
    }
    expect(early.signal).toBe(signal);
  });

  it.each([false, true])(
    'has an AbortError for a reason when none is given (signal read first: %s)',
    (read) => {
      const source = cancelSource();
      if (read) expect(source.signal.aborted).toBe(false);
      source.abort(undefined);
      expect(source.reason).toMatchObject({ name: 'AbortError' });
      expect(source.signal.reason).toBe(source.reason);
    },
  );

  describe('with a parent', () => {
    it('follows it, with its reason, and not the other way round', () => {
      const parent = cancelSource();
      const [one, other] = [cancelSource(parent), cancelSource(parent)];
      one.abort('mine');
      expect([parent.aborted, other.aborted]).toEqual([false, false]);
      parent.abort('ours');
      expect([one.reason, other.reason]).toEqual(['mine', 'ours']);
    });

    it('is aborted from the start when that is', () => {
      const parent = cancelSource();
      parent.abort('before');
      const child = cancelSource(parent);
      expect([child.aborted, child.reason]).toEqual([true, 'before']);
      child.dispose();
    });

    it.each([
      ['it is disposed of', 'dispose', undefined],
      ['it was aborted itself', 'abort', 'mine'],
    ] as const)('leaves no listener behind once %s', (_, how, reason) => {
      let listeners = 0;
      const parent = {
        ...uncancelled,
        onAbort: () => {
          listeners++;
          return () => void listeners--;
        },
      };
      const child = cancelSource(parent);
      expect(listeners).toBe(1);
      child[how](reason);
      expect(listeners).toBe(0);
      expect(child.reason).toBe(reason);
    });

    it('can still be aborted after it was disposed of', () => {
      const parent = cancelSource();
      const child = cancelSource(parent);
      child.dispose();
      parent.abort('parent');
      expect(child.aborted).toBe(false);
      child.abort('mine');
      expect(child.reason).toBe('mine');
    });
  });
});

describe('cancelledBy', () => {
  it.each([undefined, null])('%s is nobody', (signal) => {
    expect(cancelledBy(signal)).toBe(uncancelled);
  });

  it('follows the signal', () => {
    const controller = new AbortController();
    const cancel = cancelledBy(controller.signal);
    const told: string[] = [];
    cancel.onAbort(() => told.push('a'));
    const off = cancel.onAbort(() => told.push('b'));
    off();
    expect([cancel.aborted, cancel.reason, cancel.signal]).toEqual([false, undefined, controller.signal]);
    controller.abort('why');
    expect([cancel.aborted, cancel.reason]).toEqual([true, 'why']);
    cancel.onAbort(() => told.push('late'))();
    expect(told).toEqual(['a', 'late']);
  });

  it('keeps what a listener throws from the process, and from the other listeners', async () => {
    const controller = new AbortController();
    const cancel = cancelledBy(controller.signal);
    let told = 0;
    cancel.onAbort(() => {
      throw new Error('listener');
    });
    cancel.onAbort(() => told++);
    controller.abort();
    // The platform would throw it on the next tick, which fails the run.
    await new Promise((resolve) => setImmediate(resolve));
    expect(told).toBe(1);
  });

  it('tells nobody who is taken back by one that is told before, nor twice who came meanwhile', () => {
    const controller = new AbortController();
    const cancel = cancelledBy(controller.signal);
    const told: string[] = [];
    let off = (): void => undefined;
    cancel.onAbort(() => {
      off();
      cancel.onAbort(() => told.push('came'));
    });
    off = cancel.onAbort(() => told.push('taken back'));
    cancel.onAbort(() => told.push('stayed'));
    controller.abort();
    expect(told).toEqual(['came', 'stayed']);
  });

  it('can be a parent, and is let go of', () => {
    const controller = new AbortController();
    const child = cancelSource(cancelledBy(controller.signal));
    const disposed = cancelSource(cancelledBy(controller.signal));
    disposed.dispose();
    controller.abort('why');
    expect([child.reason, disposed.aborted]).toEqual(['why', false]);
  });
});

describe('a hook that was taken back and is still held', () => {
  /** Overlapping calls: each comes before the one ahead of it has left. */
  function pass(parent: Cancellation, count: number, afterFirst: () => void): WeakRef<object>[] {
    const calls: WeakRef<object>[] = [];
    const take = () => {
      const call = {};
      calls.push(new WeakRef(call));
      return parent.onAbort(() => void call);
    };
    let leave = take();
    afterFirst();
    for (let i = 1; i < count; i++) {
      const next = take();
      leave();
      leave = next;
    }
    leave();
    return calls;
  }

  it('holds nobody who came after it', async () => {
    const parent = cancelSource();
    const held = parent.onAbort(() => undefined);
    const calls = pass(parent, 50, held);
    await vi.waitFor(() => {
      collect();
      // The last one may still stand in a register.
      expect(calls.filter((call) => call.deref() !== undefined).length).toBeLessThan(3);
    });
    held();
  });
});

describe('calls that share a signal', () => {
  it('put one listener on it, and take it off with the last', () => {
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    const heard: number[] = [];
    const offs = Array.from({ length: 100 }, (_, i) => cancelledBy(signal).onAbort(() => heard.push(i)));
    expect(listeners).toBe(1);
    for (const off of offs.slice(0, 99)) off();
    expect(listeners).toBe(1);
    controller.abort();
    expect(heard).toEqual([99]);
    offs[99]?.();
    expect(cancelledBy(signal)).toBe(cancelledBy(signal));
  });
});
