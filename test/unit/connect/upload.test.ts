import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { Upload } from '../../../src/connect/upload.js';

/** Counts what is taken, and notes how it ends. */
function source(values: readonly string[]) {
  const heard: unknown[] = [];
  let at = 0;
  const iterator: AsyncIterator<{ value: string }> = {
    next: async () => {
      const value = values[at++];
      return value === undefined ? { done: true, value: undefined } : { done: false, value: { value } };
    },
    return: async () => {
      heard.push('return');
      return { done: true, value: undefined };
    },
    throw: async (error: unknown) => {
      heard.push(error);
      return { done: true, value: undefined };
    },
  };
  return { heard, taken: () => at, messages: { [Symbol.asyncIterator]: () => iterator } };
}

const read = async (messages: AsyncIterable<unknown>) => {
  const all: unknown[] = [];
  for await (const message of messages) all.push((message as { value: string }).value);
  return all;
};

describe('what a caller sends', () => {
  it('can be sent again by several attempts at a time while it is kept', async () => {
    const { messages, taken } = source(['a']);
    const upload = new Upload(messages);
    expect([upload.whole, upload.intact]).toEqual([false, true]);
    expect(await Promise.all([read(upload.feed()), read(upload.feed())])).toEqual([['a'], ['a']]);
    expect(await read(upload.feed())).toEqual(['a']);
    expect([upload.whole, upload.intact, taken()]).toEqual([true, true, 2]);
  });

  it('cannot when it is longer, once more was taken', async () => {
    const { messages } = source(['a', 'b', 'c']);
    const upload = new Upload(messages);
    const first = upload.feed();
    await first.next();
    await first.next();
    expect([upload.whole, upload.intact]).toEqual([false, true]);
    expect(await read(upload.feed())).toEqual(['a', 'b', 'c']);
    expect([upload.whole, upload.intact]).toEqual([false, false]);
  });

  it('is not ended by an attempt, only by the call, once', async () => {
    const { messages, heard } = source(['a', 'b']);
    const upload = new Upload(messages);
    const first = upload.feed();
    await first.throw?.(new Error('attempt'));
    expect(await first.next()).toEqual({ done: true, value: undefined });
    const second = upload.feed();
    expect(second[Symbol.asyncIterator]()).toBe(second);
    expect(await second.next()).toMatchObject({ value: { value: 'a' } });
    expect(heard).toEqual([]);
    const why = new Error('call');
    upload.end(why);
    upload.end(undefined);
    expect(heard).toEqual([why, 'return']);
    expect(await second.next()).toMatchObject({ done: true });
  });

  it('may end badly, and nobody hears of it', async () => {
    const reject = () => Promise.reject(new Error('x'));
    const bad = { next: reject, return: reject, throw: reject };
    const upload = new Upload({ [Symbol.asyncIterator]: () => bad });
    await expect(upload.feed().next()).rejects.toThrow('x');
    upload.end(new Error('y'));
    const throwing = () => {
      throw new Error('z');
    };
    const worse = new Upload({ [Symbol.asyncIterator]: () => ({ next: throwing, return: throwing }) });
    await expect(worse.feed().next()).rejects.toThrow('z');
    expect(() => worse.end(undefined)).not.toThrow();
  });
});
