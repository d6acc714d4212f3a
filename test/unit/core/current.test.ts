import { createCall, currentCall, runWithCall, runWithoutCall } from 'keelson/core';
import { afterEach, describe, expect, it } from 'vitest';

const slot = Symbol.for('keelson.current.v1');
const home = globalThis as { [slot]?: unknown; AsyncLocalStorage?: unknown };
const host = process as { getBuiltinModule?: unknown };
const call = (operation: string) => createCall({ side: 'server', service: 's', operation });

describe('runWithoutCall', () => {
  it('hides the call from what runs in it and all that it starts, and from nothing else', async () => {
    const mine = call('mine');
    const later = runWithCall(mine, () => {
      const started = runWithoutCall(async () => {
        const now = currentCall();
        await Promise.resolve();
        return [now, currentCall()];
      });
      expect(currentCall()).toBe(mine);
      return started;
    });
    expect(await later).toEqual([undefined, undefined]);
    expect(runWithoutCall(() => 5)).toBe(5);
  });
});

describe('currentCall', () => {
  it('is nothing outside of a call', () => {
    expect(currentCall()).toBeUndefined();
  });

  it('is the call, inside of it and in all that it starts', async () => {
    const mine = call('mine');
    const seen = await runWithCall(mine, async () => {
      const now = currentCall();
      await Promise.resolve();
      const later = currentCall();
      const timer = await new Promise((resolve) => setTimeout(() => resolve(currentCall())));
      return [now, later, timer];
    });
    expect(seen).toEqual([mine, mine, mine]);
    expect(currentCall()).toBeUndefined();
  });

  it('nests, and keeps parallel calls apart', async () => {
    const [outer, inner, other] = [call('outer'), call('inner'), call('other')];
    const look = async () => {
      await Promise.resolve();
      return currentCall();
    };
    const [first, second] = await Promise.all([
      runWithCall(outer, async () => [await runWithCall(inner, look), await look()]),
      runWithCall(other, look),
    ]);
    expect([first, second]).toEqual([[inner, outer], other]);
  });

  it('hands on what the function returns or throws', () => {
    expect(runWithCall(call('a'), () => 7)).toBe(7);
    expect(() =>
      runWithCall(call('a'), () => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(currentCall()).toBeUndefined();
  });

  it('is kept in one place for all copies of the package', () => {
    runWithCall(call('a'), () => undefined);
    expect(home[slot]).toBeDefined();
  });
});

describe('where the platform', () => {
  const kept = { storage: home[slot], getBuiltinModule: host.getBuiltinModule };
  afterEach(() => {
    if (kept.storage === undefined) delete home[slot];
    else home[slot] = kept.storage;
    host.getBuiltinModule = kept.getBuiltinModule;
    delete home.AsyncLocalStorage;
  });

  it('has no AsyncLocalStorage, the function simply runs', () => {
    delete home[slot];
    host.getBuiltinModule = undefined;
    expect(runWithCall(call('a'), () => currentCall() ?? 'none')).toBe('none');
    expect(home[slot]).toBeUndefined();
  });

  it('has it as a global, that one is used', () => {
    delete home[slot];
    host.getBuiltinModule = undefined;
    home.AsyncLocalStorage = class {
      private store: unknown;
      getStore() {
        return this.store;
      }
      run<T>(store: unknown, run: () => T): T {
        this.store = store;
        return run();
      }
    };
    const mine = call('mine');
    expect(runWithCall(mine, currentCall)).toBe(mine);
  });
});
