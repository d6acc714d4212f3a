import { type Call, compose, createCall, type Middleware } from 'keelson/core';
import { describe, expect, it } from 'vitest';

const call: Call = createCall({ side: 'client', service: 's', operation: 'o' });
const mark =
  (name: string): Middleware<string, string> =>
  (next) =>
  (request, at) =>
    next(`${request}>${name}`, at).then((response) => `${response}<${name}`);

describe('compose', () => {
  it('makes the first the outermost', async () => {
    const handler = compose([mark('a'), mark('b')], (request) => Promise.resolve(request));
    await expect(handler('', call)).resolves.toBe('>a>b<b<a');
  });

  it('leaves out what is not there', async () => {
    const handler = compose([undefined, mark('a'), false], (request) => Promise.resolve(request));
    await expect(handler('', call)).resolves.toBe('>a<a');
  });

  it('of nothing is the leaf itself', () => {
    const leaf = (request: string) => Promise.resolve(request);
    expect(compose([], leaf)).toBe(leaf);
  });

  it('wraps once, not per call', async () => {
    let wrapped = 0;
    const counting: Middleware<string, string> = (next) => {
      wrapped++;
      return next;
    };
    const handler = compose([counting], (request) => Promise.resolve(request));
    await handler('', call);
    await handler('', call);
    expect(wrapped).toBe(1);
  });
});
