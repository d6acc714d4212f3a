import { EventEmitter } from 'node:events';
import { createContextKey, ROOT_CONTEXT } from '@opentelemetry/api';
import { contextStorage } from 'keelson/tracer';
import { describe, expect, it } from 'vitest';

const key = createContextKey('key');
const contextWith = (value: unknown) => ROOT_CONTEXT.setValue(key, value);

describe('contextStorage', () => {
  it('has the root context outside, and the given one inside, through awaits and timers', async () => {
    const storage = contextStorage();
    const read = () => storage.active().getValue(key);
    expect(storage.active()).toBe(ROOT_CONTEXT);
    const seen = await storage.with(contextWith(1), async () => {
      const early = read();
      await new Promise((resolve) => setImmediate(resolve));
      const inner = storage.with(contextWith(2), read);
      return [early, inner, read()];
    });
    expect(seen).toEqual([1, 2, 1]);
    expect(storage.active()).toBe(ROOT_CONTEXT);
  });

  it('hands on receiver, arguments, result and error', () => {
    const storage = contextStorage();
    const add = function (this: { base: number } | undefined, a: number, b: number) {
      return (this?.base ?? 0) + a + b;
    };
    expect(storage.with(ROOT_CONTEXT, add, undefined, 1, 2)).toBe(3);
    expect(storage.with(ROOT_CONTEXT, add, { base: 10 }, 1, 2)).toBe(13);
    expect(() =>
      storage.with(ROOT_CONTEXT, () => {
        throw new Error('own');
      }),
    ).toThrow('own');
    expect(storage.active()).toBe(ROOT_CONTEXT);
  });

  it('binds functions, which keep their length, receiver and arguments', () => {
    const storage = contextStorage();
    const bound = storage.bind(contextWith(1), function (this: unknown, a: number, b: number) {
      return [this, a, b, storage.active().getValue(key)];
    });
    const receiver = { bound };
    expect(receiver.bound(2, 3)).toEqual([receiver, 2, 3, 1]);
    expect(bound).toHaveLength(2);
  });

  it('binds emitters: what is emitted runs in the context, and listeners stay what they are', () => {
    const storage = contextStorage();
    const emitter = new EventEmitter();
    const seen: unknown[] = [];
    const listener = (value: number) => void seen.push([value, storage.active().getValue(key)]);
    emitter.on('early', listener);
    expect(storage.bind(contextWith(1), emitter)).toBe(emitter);
    emitter.on('e', listener).once('e', listener);
    expect(storage.with(contextWith(2), () => emitter.emit('e', 5))).toBe(true);
    expect(seen.splice(0)).toEqual([
      [5, 1],
      [5, 1],
    ]);
    expect(emitter.listeners('e')).toEqual([listener]);
    emitter.off('e', listener);
    expect(emitter.emit('e', 6)).toBe(false);
    emitter.emit('early', 7);
    expect(seen).toEqual([[7, 1]]);
  });

  it('lets the first context of an emitter count', () => {
    const storage = contextStorage();
    const emitter = new EventEmitter();
    storage.bind(contextWith(2), storage.bind(contextWith(1), emitter));
    const seen: unknown[] = [];
    emitter.on('e', () => seen.push(storage.active().getValue(key)));
    emitter.emit('e');
    expect(seen).toEqual([1]);
  });

  it.each([[{ a: 1 }], [null], [undefined], ['text'], [{ on: 1, emit: 2 }]])(
    'leaves %o as it is',
    (target) => {
      expect(contextStorage().bind(ROOT_CONTEXT, target)).toBe(target);
    },
  );

  it('can be switched off and on', () => {
    const storage = contextStorage();
    expect(storage.enable()).toBe(storage);
    storage.with(contextWith(1), () => {
      storage.disable();
      expect(storage.active()).toBe(ROOT_CONTEXT);
    });
    expect(storage.with(contextWith(2), () => storage.active().getValue(key))).toBe(2);
  });
});
