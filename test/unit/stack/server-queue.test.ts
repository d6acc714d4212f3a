import { allOf, type Gate, keyed } from 'keelson/core';
import { bbr, concurrency, type DispatchQueue, dispatchQueue, rate } from 'keelson/limiter';
import { describe, expect, it } from 'vitest';
// biome-ignore lint/style/noRestrictedImports: ground that has no public name
import { ServerQueues } from '../../../src/stack/server-queue.js';

function scene() {
  const watched: DispatchQueue[] = [];
  const queues = new ServerQueues({
    defaults: {},
    listener: {},
    watch: (queue) => void watched.push(queue),
  });
  return { queues, watched };
}

describe('the servers of an app', () => {
  it('share one queue, since they share a thread', () => {
    const { queues, watched } = scene();
    const one = queues.of('app.listener', undefined);
    expect(one).toBeDefined();
    expect(queues.of('governServer', undefined)).toBe(one);
    expect(watched).toEqual([one]);
  });

  it('have one of their own by options, and the one that is given, watched once', () => {
    const { queues, watched } = scene();
    const shared = queues.of('app.listener', undefined);
    const own = queues.of('app.listener', { budgetMs: 100 });
    const given = dispatchQueue();
    expect(queues.of('app.listener', given)).toBe(given);
    expect(queues.of('governServer', given)).toBe(given);
    expect(own).not.toBe(shared);
    expect(watched).toEqual([shared, own, given]);
  });

  const quota = () => rate({ perSecond: 50, by: 'key' });
  const pool = () => concurrency({ limit: 10 });
  it.each<[string, readonly Gate[] | undefined, boolean]>([
    ['no limits', undefined, true],
    ['an empty list', [], true],
    ['rates', [quota(), keyed(() => rate({ perSecond: 1 }))], true],
    ['all of rates', [allOf([quota(), quota()])], true],
    ['a limit of calls under way', [pool()], false],
    ['bbr', [bbr()], false],
    ['rates and a limit of calls under way', [quota(), pool()], false],
    ['both as one', [allOf([quota(), pool()])], false],
  ])('have it in spite of %s, or not', (_, limits, has) => {
    const { queues, watched } = scene();
    expect(queues.of('app.listener', undefined, limits) !== undefined).toBe(has);
    expect(watched).toHaveLength(has ? 1 : 0);
    // By name there are both, or none.
    expect(queues.of('app.listener', {}, limits)).toBeDefined();
    expect(queues.of('app.listener', false, limits)).toBeUndefined();
  });

  it('have none where none is wanted', () => {
    const { queues, watched } = scene();
    expect(queues.of('app.listener', false)).toBeUndefined();
    expect(watched).toEqual([]);
  });

  it.each([
    [[], 'app.listener.queue must be options, a dispatchQueue() or false'],
    [true, 'app.listener.queue must be options, a dispatchQueue() or false'],
    [{ budgetMs: -1 }, 'app.listener.queue.budgetMs must be'],
  ])('say what is wrong with %j', (queue, message) => {
    const { queues } = scene();
    expect(() => queues.of('app.listener', queue as never)).toThrow(message);
  });
});
